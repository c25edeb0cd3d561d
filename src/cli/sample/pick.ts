/** Co-writing token by token: the model proposes tokens and the user chooses. */
import { clearScreenDown, cursorTo, moveCursor } from 'node:readline';
import type { Decoder } from '../../generate/decoder.ts';
import { Sequence, type SequenceOptions, type TextIndex } from '../../generate/sequence.ts';
import type { Candidate } from '../../generate/sampling.ts';
import { formatPercent } from '../../format.ts';
import { SIGNAL_POLL_SECONDS, startPolling, unlessStopped, type InParts } from '../../polling.ts';
import { decodeContinuation } from '../../tokenizer/tokenizer.ts';
import { forStdout, notice, print, printable, stderrColors } from '../terminal.ts';
import type { LineInput } from '../interactive/line-input.ts';
import { colored, quoted } from './probability-colors.ts';
import type { Prompt } from './prompts.ts';
import type { Model } from './write.ts';

/** One choice per digit key. */
const PAGE = 9;

const keysHelp = '1–9 choose · Enter samples one · m more · Backspace undoes · q quits';

/** Lets the user add tokens; returns the added text. */
export async function pickTokens(
  { decoder, tokenizer }: Model,
  prompt: Prompt,
  options: SequenceOptions & TextIndex,
  input: LineInput,
): Promise<string> {
  const picked: number[] = [];
  let page = 0;
  const screen = openScreen(input.live);
  notice(stderrColors.dim(input.live ? keysHelp : `${keysHelp.replace('Backspace', 'b')}; one per line`));

  // In raw mode Ctrl-C is a key, which arrives only when the event loop turns.
  input.startKeys();
  const poll = startPolling(() => input.hasEscape(), SIGNAL_POLL_SECONDS);
  const unlessLeft = async (parts: InParts<Float32Array>): Promise<Float32Array | undefined> =>
    (await unlessStopped(parts, poll))?.value;
  const newSequence = (): Sequence => new Sequence(decoder.config, prompt.ids, options, options);
  let sequence = newSequence();
  const take = async (id: number): Promise<Float32Array | undefined> => {
    picked.push(id);
    page = 0;
    const next = await unlessLeft(sequence.advancing(decoder, id));
    if (!input.live) await print(forStdout(tokenizer.vocabulary[id]));
    return next;
  };
  let logits = await unlessLeft(sequence.starting(decoder));
  while (logits !== undefined) {
    const candidates = sequence.sampler.candidates(logits);
    const shown = candidates.slice(page * PAGE, (page + 1) * PAGE);
    const text = prompt.text + decodeContinuation(tokenizer, picked);
    screen.show(
      text,
      shown.map(({ id, probability }, i) => entry(i + 1, quoted(tokenizer, id), probability)),
    );
    const key = await input.key();
    if (key === undefined || key === 'q' || key === 'escape') break;
    if (key === '' || key === 'return' || key === 'enter') logits = await take(sequence.draw(logits));
    else if (key === 'm') page = (page + 1) * PAGE < candidates.length ? page + 1 : 0;
    else if (key === 'b' || key === 'backspace') {
      picked.pop();
      page = 0;
      sequence = newSequence();
      logits = await unlessLeft(replaying(sequence, decoder, picked));
    } else {
      const chosen: Candidate | undefined = shown[Number(key) - 1];
      if (chosen !== undefined) logits = await take(chosen.id);
      else if (!input.live) notice(`"${printable(key)}" is not one of these keys`);
    }
  }
  input.endKeys();
  screen.clear();
  return decodeContinuation(tokenizer, picked);
}

/** Reads the prompt and the tokens picked after it, in parts; returns the logits [V] of the next token. */
async function* replaying(
  sequence: Sequence,
  decoder: Decoder,
  picked: readonly number[],
): InParts<Float32Array> {
  let logits = yield* sequence.starting(decoder);
  for (const id of picked) {
    yield;
    logits = yield* sequence.advancing(decoder, id);
  }
  return logits;
}

const entry = (digit: number, token: string, probability: number) => ({
  width: `${digit} ${token} ${formatPercent(probability)}`.length,
  text: `${stderrColors.bold(String(digit))} ${colored(token, probability)} ${stderrColors.dim(formatPercent(probability))}`,
});

interface Screen {
  show(text: string, entries: readonly { readonly width: number; readonly text: string }[]): void;
  clear(): void;
}

/** Shows the end of the text with the choices below it, redrawn in place on a terminal. */
function openScreen(live: boolean): Screen {
  const stream = process.stderr;
  let rows = 0;
  const clear = (): void => {
    if (rows === 0) return;
    moveCursor(stream, 0, -rows);
    cursorTo(stream, 0);
    clearScreenDown(stream);
    rows = 0;
  };
  return {
    show(text, entries) {
      if (!live) {
        notice(entries.map((each) => each.text).join('  '));
        return;
      }
      clear();
      const columns = stream.columns - 1;
      const lines = wrap(entries, columns).map((line) => `  ${line}`);
      const end = Array.from(
        printable(text)
          .slice(-4 * columns)
          .split('\n')
          .at(-1)!,
      ).slice(2 - columns);
      stream.write([end.join('') + stderrColors.inverse(' '), ...lines].join('\n') + '\n');
      rows = lines.length + 1;
    },
    clear,
  };
}

/** Entries side by side, as many as fit on a line. */
function wrap(
  entries: readonly { readonly width: number; readonly text: string }[],
  columns: number,
): string[] {
  const lines: string[] = [];
  let used = Infinity;
  for (const { width, text } of entries) {
    if (used + 2 + width > columns - 2) {
      lines.push(text);
      used = width;
    } else {
      lines[lines.length - 1] += `  ${text}`;
      used += 2 + width;
    }
  }
  return lines;
}
