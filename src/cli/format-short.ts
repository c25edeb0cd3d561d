/** A short time: `3.2 µs`, `415 µs`, `12 ms`, `1.8 s`. */
export function formatShort(seconds: number): string {
  const [value, unit] =
    seconds < 0.9995e-3 ? [seconds * 1e6, 'µs'] : seconds < 0.9995 ? [seconds * 1e3, 'ms'] : [seconds, 's'];
  return `${value.toFixed(value === 0 || value >= 9.95 ? 0 : 1)} ${unit}`;
}
