/** Memory sizes for comparison: `36 MB`, `4.21 GB`, `7.68e+17 GB`. */
export function formatMemory(bytes: number): string {
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(0)} MB`;
  const gigabytes = bytes / 1e9;
  return `${gigabytes < 1e6 ? gigabytes.toFixed(2) : gigabytes.toPrecision(3)} GB`;
}
