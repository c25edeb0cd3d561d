/** `gpt eval --tokens`: the loss of each token, as colored text or JSON lines. */
import type { ChalkInstance } from 'chalk';
import type { TokenScores } from '../evaluate/measures.ts';
import { tokenTexts, type TokenizedText } from '../evaluate/tokenized-text.ts';
import { jsonText } from './json-output.ts';
import { printable, stdoutColors } from './terminal.ts';

/** Levels of loss in bits, each up to `below`: 2, 4, 16, 256 or 65,536 equally likely tokens. */
const levels: readonly {
  readonly below: number;
  readonly label: string;
  readonly style: ChalkInstance;
}[] = [
  { below: 1, label: 'below 1', style: stdoutColors.dim },
  { below: 2, label: '1 to 2', style: stdoutColors.reset },
  { below: 4, label: '2 to 4', style: stdoutColors.cyan },
  { below: 8, label: '4 to 8', style: stdoutColors.yellow },
  { below: 16, label: '8 to 16', style: stdoutColors.red },
  { below: Infinity, label: 'above', style: stdoutColors.red.inverse },
];

const legend = (): string =>
  `Surprisal in bits: ${levels.map(({ label, style }) => style(label)).join('  ')}`;

interface Token {
  readonly id: number;
  readonly text: string;
  readonly unknown: boolean;
  /** −log₂ p(token | the tokens before it); undefined for the first token. */
  readonly bits: number | undefined;
  /** Number of tokens with a higher probability. */
  readonly rank: number | undefined;
}

/** Prints the tokens of one text. */
interface TokenPrinter {
  /** The heading and the first token. */
  start(): string;
  show(scores: TokenScores): string;
  end(): string;
}

/** @param json print JSON lines even if colors are requested */
export function tokenPrinter(
  tokenized: TokenizedText,
  title: { readonly model: string; readonly file: string },
  json: boolean,
): TokenPrinter {
  const { tokenizer, ids } = tokenized;
  const texts = tokenTexts(tokenized);
  const token = (at: number, nats?: number, rank?: number): Token => ({
    id: ids[at],
    text: texts.next().value as string,
    unknown: ids[at] === tokenizer.unkId,
    bits: nats === undefined ? undefined : nats / Math.LN2,
    rank,
  });
  const { head, line, tail } = stdoutColors.level === 0 || json ? jsonLines(title) : coloredText(title);
  return {
    start: () => head + line(token(0)),
    show({ first, nats, ranks }) {
      let text = '';
      for (let i = 0; i < nats.length; i++) text += line(token(first + i, nats[i], ranks?.[i]));
      return text;
    },
    end: tail,
  };
}

interface Form {
  readonly head: string;
  readonly line: (token: Token) => string;
  readonly tail: () => string;
}

function jsonLines({ model, file }: { readonly model: string; readonly file: string }): Form {
  const start = jsonText({ model, file }).slice(0, -1);
  let position = 0;
  let lineNumber = 1;
  const line = ({ id, text, unknown, bits, rank }: Token): string => {
    const entry = {
      position,
      line: lineNumber,
      id,
      text,
      ...(unknown && { unknown }),
      bits: bits === undefined ? null : Number(bits.toFixed(4)),
      rank: rank === undefined ? null : rank + 1,
    };
    for (const character of text) {
      position++;
      if (character === '\n') lineNumber++;
    }
    return `${start},${jsonText(entry).slice(1)}\n`;
  };
  return { head: '', line, tail: () => '' };
}

function coloredText({ model, file }: { readonly model: string; readonly file: string }): Form {
  let atLineStart = true;
  const line = ({ text, bits }: Token): string => {
    atLineStart = text.endsWith('\n');
    const style = bits === undefined ? stdoutColors.reset : levels.find(({ below }) => bits < below)!.style;
    // White space shows no color, so surprising white space gets a visible sign.
    const blank = bits !== undefined && bits >= 4 && text.trim() === '';
    const shown = blank ? text.replaceAll(' ', '·').replaceAll('\n', '↵\n') : text;
    return printable(shown)
      .split('\n')
      .map((part) => (part === '' ? '' : style(part)))
      .join('\n');
  };
  return {
    head: `${stdoutColors.bold(printable(file))}${stdoutColors.dim(`, read by ${printable(model)}`)}\n${legend()}\n\n`,
    line,
    tail: () => (atLineStart ? '\n' : '\n\n'),
  };
}
