/** Output formats of samples: plain, colored by probability, or JSON lines. */
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { printJson } from '../json-output.ts';
import { asItIs, type Show } from '../show.ts';
import { print, stdoutColors } from '../terminal.ts';
import { alternativesTable, colored, legend } from './probability-colors.ts';
import type { Output, Writing } from './write.ts';

/**
 * Texts as they are generated.
 *
 * @param titled print a heading above each
 * @param show prints their parts
 */
export function plainOutput(titled: boolean, show: Show = asItIs): Output {
  return {
    async start({ request }) {
      await print(heading(request.sample, titled));
      await show(request.prompt.text, stdoutColors.bold);
    },
    async update({ written }) {
      const text = written.takeNewText();
      if (text !== '') await show(text);
    },
    async end(writing) {
      await this.update(writing);
      await print('\n');
    },
  };
}

/**
 * A list of documents: one per line, or, if a document has several lines, with a blank line after it.
 *
 * @param onEnd receives every document that the model has ended
 */
export function documentOutput(onEnd: (document: string) => void, show: Show = asItIs): Output {
  const plain = plainOutput(false, show);
  return {
    ...plain,
    async end(writing) {
      const { text, finishReason } = writing.written;
      if (finishReason === 'stop') onEnd(writing.request.prompt.text + text);
      await plain.end(writing);
      if (text.trimEnd().includes('\n')) await print('\n');
    },
  };
}

const heading = (sample: number, titled: boolean): string =>
  titled ? `${sample > 0 ? '\n' : ''}${stdoutColors.dim(`--- sample ${sample + 1}`)}\n` : '';

/**
 * Texts with each token colored by its probability, followed by a legend and the alternatives.
 *
 * @param hasTable whether the alternatives are listed: a row for each token
 */
export function probabilityOutput(
  titled: boolean,
  tokenizer: Tokenizer,
  show: Show = asItIs,
  hasTable = true,
): Output {
  let unshown = '';
  let piece = 0; // index of the token of the next character
  let shownOfPiece = 0; // in characters
  const plain = plainOutput(titled, show);
  return {
    async start(writing) {
      [unshown, piece, shownOfPiece] = ['', 0, 0];
      await plain.start(writing);
    },
    async update({ written, details }) {
      unshown += written.takeNewText();
      while (unshown !== '') {
        // Only once there is more to show, because a text cut off within a character adds it to its last piece.
        while (shownOfPiece === written.pieces[piece].length) [piece, shownOfPiece] = [piece + 1, 0];
        const part = unshown.slice(0, written.pieces[piece].length - shownOfPiece);
        const { logprob } = details[piece];
        await show(part, (text) => colored(text, Math.exp(logprob)));
        shownOfPiece += part.length;
        unshown = unshown.slice(part.length);
      }
    },
    async end(writing) {
      await this.update(writing);
      await print(`\n\n${legend()}${hasTable ? alternativesTable(tokenizer, writing.details) : ''}`);
    },
  };
}

/** The value of `finish_reason`. */
const finishReason = ({ written }: Writing): string => written.finishReason ?? 'interrupted';

/** One line of JSON per text. */
export function jsonOutput(tokenizer: Tokenizer, seed: number, withTokens: boolean): Output {
  const nothing = (): Promise<void> => Promise.resolve();
  const named = ({ id, logprob }: { readonly id: number; readonly logprob: number }) => ({
    id,
    text: tokenizer.vocabulary[id],
    logprob,
  });
  return {
    start: nothing,
    update: nothing,
    end(writing) {
      const { request, written, details } = writing;
      const line = {
        index: request.index,
        sample: request.sample,
        prompt: request.prompt.text,
        text: written.text,
        finish_reason: finishReason(writing),
        ...(withTokens && {
          seed,
          prompt_ids: Array.from(request.prompt.ids),
          logprob: details.reduce((sum, { logprob }) => sum + logprob, 0),
          tokens: details.map((each) => ({ ...named(each), top: each.top.map(named) })),
        }),
      };
      return printJson(line);
    },
  };
}
