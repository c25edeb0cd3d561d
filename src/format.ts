/** Formats numbers as plain text, independent of the locale. */

/** 1234567 → `1,234,567`; fractions have `digits` decimals. */
export function formatNumber(value: number, digits = 0): string {
  const [whole = '', fraction] = value.toFixed(digits).split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

/** A rounded count: 812 → `812`, 10740000 → `10.7M`. */
export const formatCount = (value: number): string => scaled(value, ['', 'K', 'M', 'B', 'T']);

/** Bytes in powers of 1000, like disks and the Hugging Face hub: 12300000 → `12.3 MB`. */
export const formatBytes = (bytes: number): string => scaled(bytes, [' B', ' kB', ' MB', ' GB', ' TB']);

/** Three significant digits and a unit; units differ by a factor of 1000. */
function scaled(value: number, units: readonly string[], digitsOfUnit = 0): string {
  let unit = 0;
  // 999.5 would round to 1000, which needs the next unit.
  while (Math.abs(value) >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = Math.abs(value) >= 99.95 ? 0 : unit === 0 ? digitsOfUnit : Math.abs(value) >= 9.995 ? 1 : 2;
  return value.toFixed(digits) + units[unit];
}

/** A duration: `85ms`, `8.4s`, `45s`, `3m 07s`, `1h 02m`, `2d 03h`, `355.7 years`. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–';
  if (Number.isInteger(seconds) && seconds < 60) return `${seconds}s`;
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)}ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)}s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return pair(whole, 60, 'm', 's');
  const minutes = Math.round(seconds / 60);
  if (minutes < 24 * 60) return pair(minutes, 60, 'h', 'm');
  if (seconds < YEAR) return pair(Math.round(seconds / 3600), 24, 'd', 'h');
  const years = seconds / YEAR;
  return `${formatNumber(years, years < 1000 ? 1 : 0)} years`;
}

const YEAR = 365.25 * 86_400;

/** `$0.07`, `$1,234`, `$4.68 million`. */
export function formatDollars(dollars: number): string {
  if (dollars >= 999_500) return `$${scaled(dollars / 1e6, [' million', ' billion', ' trillion'], 2)}`;
  if (dollars > 0 && dollars < 0.005) return '< $0.01';
  return `$${formatNumber(dollars, dollars < 99.995 ? 2 : 0)}`;
}

const pair = (value: number, base: number, big: string, small: string): string =>
  `${Math.floor(value / base)}${big} ${String(value % base).padStart(2, '0')}${small}`;

/** A rate: `45,210 tok/s`, or `3.27 tok/s` where an integer would be too coarse. */
export const formatRate = (perSecond: number, unit: string): string =>
  `${formatNumber(perSecond, perSecond < 10 ? 2 : perSecond < 100 ? 1 : 0)} ${unit}/s`;

/** A GEMM rate: `123 GFLOP/s`, or `0.12 GFLOP/s` on an emulated GPU. */
export const formatFlops = (perSecond: number): string => {
  const rate = perSecond / 1e9;
  return `${rate < 9.95 ? String(Number(rate.toPrecision(2))) : formatNumber(rate)} GFLOP/s`;
};

/** The time of a step: `8.4 ms`, `812 ms`, and as a duration from ten seconds on. */
export const formatStep = (seconds: number): string =>
  seconds < 9.95 ? `${formatNumber(1000 * seconds, seconds < 0.1 ? 1 : 0)} ms` : formatDuration(seconds);

/** `1 step`, `1,234 steps`. */
export const formatCountOf = (n: number, thing: string): string =>
  `${formatNumber(n)} ${thing}${n === 1 ? '' : 's'}`;

/** 0.1234 → `12.3%`. */
export const formatPercent = (fraction: number, digits = 1): string => `${(fraction * 100).toFixed(digits)}%`;

/** Nats per token: `1.7867`, or `≈1.7450` for an estimate. */
export const formatLoss = ({
  loss,
  isEstimate,
}: {
  readonly loss: number;
  readonly isEstimate: boolean;
}): string => `${isEstimate ? '≈' : ''}${loss.toFixed(4)}`;

/** "a, b, and c". */
export const formatList = (items: readonly string[]): string => new Intl.ListFormat('en').format(items);
