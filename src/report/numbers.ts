/** Number formats specific to the page, independent of the locale; all others are in src/format.ts. */
const compact = new Intl.NumberFormat('en-US', { notation: 'compact', maximumSignificantDigits: 3 });

/** 10.7M */
export const rough = (value: number): string => compact.format(value);
/** Three significant digits: 0.0412, 2e-5 */
export const figures = (value: number): string =>
  value !== 0 && Math.abs(value) < 0.001 ? value.toExponential(1) : String(Number(value.toPrecision(3)));

/** 45 sec, 12.5 min, 3.2 hr */
export function timeSpan(seconds: number): string {
  const [value, unit] =
    seconds < 120
      ? [seconds, 'second']
      : seconds < 7200
        ? [seconds / 60, 'minute']
        : [seconds / 3600, 'hour'];
  return new Intl.NumberFormat('en-US', { style: 'unit', unit, maximumSignificantDigits: 3 }).format(value);
}
