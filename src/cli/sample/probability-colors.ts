/** Probabilities as named colors, which follow the terminal's palette. */
import { formatPercent } from '../../format.ts';
import { printable, stdoutColors } from '../terminal.ts';
import type { TokenDetails } from '../../generate/token-details.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';

// No yellow, white or black, each of which is hard to read on a light or a dark terminal.
const levels = [
  { from: 0.5, label: '50% or more', color: String },
  { from: 0.2, label: '20–50%', color: stdoutColors.green },
  { from: 0.05, label: '5–20%', color: stdoutColors.cyan },
  { from: 0.01, label: '1–5%', color: stdoutColors.magenta },
  { from: 0, label: 'less than 1%', color: stdoutColors.red.underline },
] as const;

/** Text colored by a probability. */
export const colored = (text: string, probability: number): string =>
  levels.find(({ from }) => probability >= from)!.color(text);

/** Legend of the colors; empty without colors. */
export const legend = (): string =>
  stdoutColors.level === 0
    ? ''
    : `  probability of each token: ${levels.map(({ label, color }) => color(label)).join('  ')}\n\n`;

/** A token for a table: quoted, with visible white space. */
export const quoted = (tokenizer: Tokenizer, id: number): string =>
  printable(JSON.stringify(tokenizer.vocabulary[id]));

/** One line per token: its text, its probability, and the alternatives. */
export function alternativesTable(tokenizer: Tokenizer, details: readonly TokenDetails[]): string {
  const rows = details.map(({ id, logprob, top }) => ({
    token: quoted(tokenizer, id),
    probability: Math.exp(logprob),
    others: top
      .filter((other) => other.id !== id)
      .map((other) => `${quoted(tokenizer, other.id)} ${formatPercent(Math.exp(other.logprob))}`),
  }));
  const width = Math.max('token'.length, ...rows.map(({ token }) => token.length));
  const otherWidth = Math.max(0, ...rows.flatMap(({ others }) => others.map((other) => other.length)));
  const head = `  ${'token'.padEnd(width)}  ${'prob'.padStart(6)}  alternatives`;
  const lines = rows.map(({ token, probability, others }) => {
    const alternatives = others
      .map((other) => other.padEnd(otherWidth))
      .join('  ')
      .trimEnd();
    return `  ${colored(token, probability)}${' '.repeat(width - token.length)}  ${formatPercent(probability).padStart(6)}  ${stdoutColors.dim(alternatives)}`;
  });
  return `${stdoutColors.bold(head)}\n${lines.join('\n')}\n`;
}
