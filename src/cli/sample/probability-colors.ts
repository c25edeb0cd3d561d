/** How likely the model found each token, as colours. Named ones, from the palette the user chose for the terminal. */
import { formatPercent } from '../../format.ts';
import { printable, stdoutColors } from '../terminal.ts';
import type { TokenDetails } from '../../generate/token-details.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';

// No yellow, white or black: one of them is hard to read on a light terminal, the others on one of the two.
const levels = [
  { from: 0.5, label: '50% or more', color: String },
  { from: 0.2, label: '20–50%', color: stdoutColors.green },
  { from: 0.05, label: '5–20%', color: stdoutColors.cyan },
  { from: 0.01, label: '1–5%', color: stdoutColors.magenta },
  { from: 0, label: 'less than 1%', color: stdoutColors.red.underline },
] as const;

/** Text in the colour of its probability. */
export const colored = (text: string, probability: number): string =>
  levels.find(({ from }) => probability >= from)!.color(text);

/** Which colour stands for what; nothing where there are none. */
export const legend = (): string =>
  stdoutColors.level === 0
    ? ''
    : `  probability of each token: ${levels.map(({ label, color }) => color(label)).join('  ')}\n\n`;

/** A token as it stands in a table: quoted, with everything visible. */
export const quoted = (tokenizer: Tokenizer, id: number): string =>
  printable(JSON.stringify(tokenizer.vocabulary[id]));

/** A line for each token: itself, its probability, and what else the model would have liked. */
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
  const head = `  ${'token'.padEnd(width)}  ${'drawn'.padStart(6)}  instead of it`;
  const lines = rows.map(({ token, probability, others }) => {
    const alternatives = others
      .map((other) => other.padEnd(otherWidth))
      .join('  ')
      .trimEnd();
    return `  ${colored(token, probability)}${' '.repeat(width - token.length)}  ${formatPercent(probability).padStart(6)}  ${stdoutColors.dim(alternatives)}`;
  });
  return `${stdoutColors.bold(head)}\n${lines.join('\n')}\n`;
}
