import { expect, test, vi } from 'vitest';
import { probabilityOutput } from '../../../src/cli/sample/output.ts';
import type { Writing } from '../../../src/cli/sample/write.ts';
import { WrittenText } from '../../../src/generate/written-text.ts';
import type { Tokenizer } from '../../../src/tokenizer/tokenizer.ts';

test('the table of alternatives can be left out', async () => {
  const writing = { written: { takeNewText: () => '' }, details: [{ id: 0, logprob: -1, top: [] }] };
  const tokenizer = { vocabulary: ['whale'] } as unknown as Tokenizer;
  const printed: string[] = [];
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text, ...rest) => {
    printed.push(String(text));
    (rest.at(-1) as (() => void) | undefined)?.();
    return true;
  });
  const ends = async (hasTable: boolean): Promise<string> => {
    await probabilityOutput(false, tokenizer, undefined, hasTable).end(writing as unknown as Writing);
    return printed.splice(0).join('');
  };
  const [without, having] = [await ends(false), await ends(true)];
  write.mockRestore();
  expect(having).toContain('whale');
  expect(without).not.toContain('whale');
});

test('each part of a text has the probability of its token, including the end of an interrupted text', async () => {
  const pieces = ['a', '', 'bx', 'cd'];
  const tokenizer = {
    decoder: () => ({ push: ([id]: number[]) => pieces[id], end: () => '\ufffd' }),
  } as unknown as Tokenizer;
  const written = new WrittenText(tokenizer, { maxTokens: 9, stopStrings: ['xy'], stopIds: new Set() });
  const writing = { written, details: [] } as unknown as Writing;
  const shown: [string, string | undefined][] = [];
  const output = probabilityOutput(false, tokenizer, (text, style) => {
    shown.push([text, style?.(text)]);
    return Promise.resolve();
  });
  const texts = () => shown.splice(0).map(([text]) => text);
  for (const [id, parts] of [['a'], [], ['b'], ['x', 'cd']].entries()) {
    written.push(id);
    (writing.details as unknown[]).push({ id, logprob: -1, top: [] });
    await output.update(writing);
    expect(texts()).toEqual(parts);
  }
  written.end(); // interrupted within a character
  await output.update(writing);
  expect(texts()).toEqual(['\ufffd']);
});
