import { totalmem } from 'node:os';

/** Bytes of memory that this process can have at most: the machine's, or its container's. */
export const machineMemory = (): number => Math.min(totalmem(), process.constrainedMemory() || Infinity);

/** In gigabytes, exact enough to compare: `4.21 GB`; much larger sizes in three figures, `7.68e+17 GB`. */
export function formatGigabytes(bytes: number): string {
  const gigabytes = bytes / 1e9;
  return `${gigabytes < 1e6 ? gigabytes.toFixed(2) : gigabytes.toPrecision(3)} GB`;
}
