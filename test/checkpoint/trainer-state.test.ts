import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readTrainerState, trainerStateText } from '../../src/checkpoint/trainer-state.ts';
import { stateOf } from './run-fixtures.ts';
import { failure } from '../fixtures/failure.ts';

const folder = mkdtempSync(join(tmpdir(), 'trainer-state-'));
const path = join(folder, 'gpt_trainer_state.json');
const legacy = join(folder, 'trainer_state.json');
const state = { ...stateOf(7), log_bytes: { metrics: 1, samples: 0 }, files: { 'config.json': 'x' } };

test('the checksum is the SHA-256 of the file with zeros for its digits, as docs/checkpoint-format.md says', () => {
  const text = trainerStateText(state);
  const { sha256 } = JSON.parse(text) as { sha256: string };
  expect(sha256).toMatch(/^[0-9a-f]{64}$/);
  const blank = text.replace(sha256, '0'.repeat(64));
  expect(createHash('sha256').update(blank).digest('hex')).toBe(sha256);
  writeFileSync(path, text);
  expect(readTrainerState(path)).toEqual({ format: 3, ...state });
});

test.each<[string, (text: string) => string, unknown]>([
  ['another step', (text) => text.replace('"step": 7', '"step": 8'), failure('damaged-file')],
  ['no checksum', (text) => text.replace(/ {2}"sha256": .*\n/, ''), failure('damaged-file', '"sha256"')],
  [
    'the format before',
    (text) => text.replace('"format": 3', '"format": 2'),
    failure('damaged-file', '"format"', '2'),
  ],
  ['a newer format', (text) => text.replace('"format": 3', '"format": 4'), failure('newer-version')],
])('a state with %s is refused', (_name, change, expected) => {
  writeFileSync(path, change(trainerStateText(state)));
  expect(() => readTrainerState(path)).toThrow(expected);
});

test('a state of an older version, without a checksum, is read', () => {
  const { files: _files, ...before } = state;
  writeFileSync(legacy, JSON.stringify({ format: 2, ...before }));
  expect(readTrainerState(legacy)).toEqual({ format: 2, ...before });
});

test("a state of Hugging Face's Trainer is recognized and refused", () => {
  writeFileSync(legacy, JSON.stringify({ epoch: 1, global_step: 500, log_history: [] }));
  expect(() => readTrainerState(legacy)).toThrow(failure('unsupported-format'));
});

test('a state is not read through a symbolic link', () => {
  const link = join(folder, 'link.json');
  symlinkSync(path, link);
  expect(() => readTrainerState(link)).toThrow(failure('symbolic-link', link));
  expect(readFileSync(path).length).toBeGreaterThan(0);
});
