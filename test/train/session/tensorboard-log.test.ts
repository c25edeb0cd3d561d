/** Runs with `--log tensorboard`. test/interop/test_tensorboard.py reads their files with TensorBoard. */
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { crc32c } from '../../../src/checkpoint/event-file.ts';
import { foreignEntries } from '../../../src/checkpoint/own-files.ts';
import type { TrainHandlers } from '../../../src/train/train-handlers.ts';
import { trainModel } from '../../../src/train/train-model.ts';

const folder = mkdtempSync(join(tmpdir(), 'tensorboard-'));
const corpus = [join(folder, 'corpus.txt')];
writeFileSync(corpus[0], 'The whale, the sea, the ship.\n'.repeat(60));
const shape = { nLayer: 1, nHead: 1, nEmbd: 8, blockSize: 8, batchSize: 4, evalInterval: 5, evalIters: 1 };
const train = (name: string, more: object = {}, handlers: TrainHandlers = {}) =>
  trainModel(
    { corpus, outDir: join(folder, name), ...shape, maxIters: 10, log: 'tensorboard', ...more },
    handlers,
  );

const eventFiles = (name: string): string[] =>
  readdirSync(join(folder, name))
    .filter((file) => file.startsWith('events.out.tfevents.'))
    .toSorted();

/** The records of a file as text, whose checksums must be right. */
function recordsOf(name: string, file: string): string[] {
  const bytes = readFileSync(join(folder, name, file));
  const records: string[] = [];
  const unmasked = (at: number): number => {
    const rotated = (bytes.readUInt32LE(at) - 0xa282ead8) >>> 0;
    return ((rotated >>> 17) | (rotated << 15)) >>> 0;
  };
  for (let at = 0; at < bytes.length;) {
    const end = at + 12 + Number(bytes.readBigUInt64LE(at));
    expect(unmasked(at + 8)).toBe(crc32c(bytes.subarray(at, at + 8)));
    expect(unmasked(end)).toBe(crc32c(bytes.subarray(at + 12, end)));
    records.push(bytes.toString('latin1', at + 12, end));
    at = end + 4;
  }
  return records;
}
const count = (records: readonly string[], tag: string): number =>
  records.filter((record) => record.includes(tag)).length;

test('each invocation writes a file with its steps and evaluations, also a resumed one', async () => {
  let steps = 0;
  await train(
    'run',
    {},
    {
      event: (event) => void (event.type === 'step' && steps++),
      interrupted: () => steps === 7,
    },
  );
  await trainModel({ corpus: [], resume: join(folder, 'run') });
  const [first, second, ...more] = eventFiles('run').map((file) => recordsOf('run', file));
  expect(more).toEqual([]);
  expect([first, second].map((records) => count(records, 'train/grad_norm'))).toEqual([7, 3]);
  expect([first, second].map((records) => count(records, 'eval/val_loss'))).toEqual([1, 1]);
  expect([first, second].map((records) => count(records, 'eval/best_val_loss'))).toEqual([0, 1]);
  for (const records of [first, second]) expect(records[0]).toContain('brain.Event:2');
});

test('a rollback tells readers to drop what it undoes', async () => {
  let broken = false;
  await train(
    'rolled-back',
    { saveEvery: 1 },
    {
      inspect: ({ step }, found, trainer) => {
        if (step === 8 && !broken) trainer.parameters()[3].write(Float32Array.of(NaN), 7);
        broken ||= step === 8;
        return found;
      },
    },
  );
  const records = recordsOf('rolled-back', eventFiles('rolled-back')[0]);
  // Field 2, the step, and field 7, a session log whose status is START.
  const starts = records.filter((record) => record.endsWith('\x3a\x02\x08\x01'));
  expect(starts.map((record) => record.charCodeAt(10))).toEqual([1, 6]);
});

test('the files belong to the run: they are replaced with it, those of others stay', async () => {
  await train('again');
  const [old] = eventFiles('again');
  expect(foreignEntries(join(folder, 'again'))).toEqual([]);
  await train('again', { overwrite: true, log: 'none' });
  expect(eventFiles('again')).toEqual([]);
  writeFileSync(join(folder, 'again', old), 'another program');
  await train('again', { overwrite: true, log: 'none' });
  expect(eventFiles('again')).toEqual([old]);
  expect(foreignEntries(join(folder, 'again'))).toEqual([old]);
});
