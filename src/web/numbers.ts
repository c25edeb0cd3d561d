/** Numbers as the page writes them. */

const plain = new Intl.NumberFormat('en-US');
const compact = new Intl.NumberFormat('en-US', { notation: 'compact', maximumSignificantDigits: 3 });

export const inFull = (value: number): string => plain.format(value);
/** Three significant digits: 12.3K. */
export const inShort = (value: number): string => compact.format(value);

/** A count with its noun: `1 layer`, `2,000 layers`. */
export const counted = (count: number, noun: string, form = inFull): string =>
  `${form(count)} ${noun}${count === 1 ? '' : 's'}`;

/** A loss in nats per token; that of a diverging model may be huge. */
export const lossText = (loss: number): string =>
  Math.abs(loss) < 1000 || !Number.isFinite(loss) ? loss.toFixed(3) : loss.toExponential(2);

/** @param seconds at least 0 */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  const [minutes, rest] = [Math.floor(whole / 60), whole % 60];
  if (minutes === 0) return `${rest} s`;
  return rest === 0 ? `${minutes} min` : `${minutes} min ${String(rest).padStart(2, '0')} s`;
}
