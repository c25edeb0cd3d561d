import { totalmem } from 'node:os';

/** Upper limit of memory for this process, in bytes: that of the computer or of its container. */
export const machineMemory = (): number => Math.min(totalmem(), process.constrainedMemory() || Infinity);

/** Memory sizes for comparison: `36 MB`, `4.21 GB`, `7.68e+17 GB`. */
export function formatMemory(bytes: number): string {
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(0)} MB`;
  const gigabytes = bytes / 1e9;
  return `${gigabytes < 1e6 ? gigabytes.toFixed(2) : gigabytes.toPrecision(3)} GB`;
}
