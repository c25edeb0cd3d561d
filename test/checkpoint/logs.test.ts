import { appendFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { keepLog, logPath, readLogs } from '../../src/checkpoint/logs.ts';
import { failure } from '../fixtures/failure.ts';

const folder = mkdtempSync(join(tmpdir(), 'logs-'));
const write = (name: 'metrics' | 'samples' | 'speed', lines: readonly unknown[]) =>
  writeFileSync(logPath(folder, name), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));

beforeEach(() => {
  write('metrics', [
    { step: 1, loss: 4.5, lr: 0.1, grad_norm: 2 },
    { step: 2, loss: NaN, lr: 0.2, grad_norm: 1 },
    { step: 2, train_loss_estimate: 3, val_loss_estimate: 3.5 },
    { step: 2, end: 'finished', best_step: 1, val_loss: 3.4 },
  ]);
  write('samples', [{ step: 2, text: 'the whale' }]);
  write('speed', [{ step: 2, seconds: 0.5, tokens: 100 }]);
});

test('a log round-trips, with NaN for values that were not finite', () => {
  expect(readLogs(folder)).toEqual({
    steps: [
      { step: 1, loss: 4.5, learningRate: 0.1, gradNorm: 2 },
      { step: 2, loss: NaN, learningRate: 0.2, gradNorm: 1 },
    ],
    evaluations: [{ step: 2, trainLoss: 3, validationLoss: 3.5 }],
    end: { step: 2, best: { step: 1, validationLoss: 3.4 } },
    samples: [{ step: 2, text: 'the whale' }],
    speed: [{ step: 2, seconds: 0.5, tokens: 100 }],
    damage: [],
  });
});

test('lines tell the tokens and the time so far; those of older versions do not', () => {
  write('metrics', [
    { step: 1, loss: 4.5, lr: 0.1, grad_norm: 2 },
    { step: 2, loss: 4, lr: 0.1, grad_norm: 2, tokens_seen: 64, elapsed_seconds: 0.25 },
    { step: 2, train_loss_estimate: 3, val_loss_estimate: 3.5, tokens_seen: 64, elapsed_seconds: 0.5 },
  ]);
  const { steps, evaluations } = readLogs(folder);
  expect([...steps, ...evaluations].map((line) => [line.tokensSeen, line.elapsedSeconds])).toEqual([
    [undefined, undefined],
    [64, 0.25],
    [64, 0.5],
  ]);
  write('metrics', [{ step: 7, loss: 4, lr: 1, grad_norm: 1, tokens_seen: '64' }]);
  expect(() => readLogs(folder)).toThrow(failure('damaged-file', '"tokens_seen"', '"64"'));
});

test('after a rollback, only the repeated steps count', () => {
  const step = (n: number, loss: number) => ({ step: n, loss, lr: 0.1, grad_norm: 2 });
  write('metrics', [
    step(1, 4),
    step(2, 3),
    { step: 2, train_loss: 3, val_loss: 3.5 },
    step(3, NaN),
    { step: 3, rollback_to: 1, rollbacks: 1, fault: 'loss not finite', tensor: 'wte.weight is not finite' },
    step(2, 3.5),
    { step: 2, end: 'finished', validation_loss: 3.4 },
  ]);
  const { steps, evaluations } = readLogs(folder);
  expect(steps.map(({ step: n, loss }) => [n, loss])).toEqual([
    [1, 4],
    [2, 3.5],
  ]);
  expect(evaluations).toEqual([]);
});

test('a folder without logs has empty ones', () => {
  expect(readLogs(join(folder, 'nowhere'))).toEqual({
    steps: [],
    evaluations: [],
    end: undefined,
    samples: [],
    speed: [],
    damage: [],
  });
});

test('logs of older versions are read, with the loss of their last step', () => {
  write('metrics', [
    { step: 2, train_loss: 3, val_loss: 3.5 },
    { step: 2, end: 'finished', validation_loss: 3.4 },
  ]);
  expect(readLogs(folder)).toMatchObject({
    evaluations: [{ step: 2, trainLoss: 3, validationLoss: 3.5 }],
    end: { step: 2, best: { step: 2, validationLoss: 3.4 } },
  });
});

test('the end of a run without a validation split has no loss', () => {
  write('metrics', [{ step: 2, end: 'finished', best_step: 2, val_loss: null }]);
  expect(readLogs(folder).end).toEqual({ step: 2, best: undefined });
});

test('a torn last line is ignored, and damaged lines are counted', () => {
  const path = logPath(folder, 'metrics');
  appendFileSync(path, '\n{"step":3,"lo');
  expect(readLogs(folder)).toMatchObject({ damage: [] });
  write('metrics', [7, { step: 1, loss: 4, lr: 1, grad_norm: 1 }]);
  expect(readLogs(folder).damage).toEqual([`${path}: line 1 is damaged and was skipped`]);
  appendFileSync(path, 'null\n');
  const { steps, damage } = readLogs(folder);
  expect(steps.length).toBe(1);
  expect(damage).toEqual([`${path}: 2 of 3 lines are damaged and were skipped, starting with line 1`]);
});

test.each([
  ['metrics', { step: 7, loss: '4', lr: 1, grad_norm: 1 }, failure('damaged-file', '"loss"', '"4"')],
  ['metrics', { step: 7, loss: 4, grad_norm: 1 }, failure('damaged-file', '"lr"')],
  ['metrics', { step: 7, val_loss: 4 }, failure('damaged-file', '"train_loss"')],
  ['samples', { step: 7, text: 5 }, failure('damaged-file', '"text"', '5')],
  ['speed', { step: 7, tokens: 5 }, failure('damaged-file', '"seconds"')],
] as const)('names the file, the step and the field that is wrong: %s %j', (name, line, expected) => {
  write(name, [line]);
  expect(() => readLogs(folder)).toThrow(expected);
  expect(() => readLogs(folder)).toThrow(failure('damaged-file', `${name}.jsonl`, 'step 7'));
});

test('a log is truncated after a step', () => {
  appendFileSync(logPath(folder, 'metrics'), '{"step":3,"lo');
  keepLog(logPath(folder, 'metrics'), 1);
  expect(readFileSync(logPath(folder, 'metrics'), 'utf8')).toBe(
    '{"step":1,"loss":4.5,"lr":0.1,"grad_norm":2}\n',
  );
  keepLog(logPath(folder, 'nothing' as 'speed'), 1);
});

test('truncating a log keeps damaged lines and the last step, but not the end of the run', () => {
  const path = logPath(folder, 'metrics');
  appendFileSync(path, 'garbage\n{"step":3}\n');
  const lines = readFileSync(path, 'utf8').split('\n');
  keepLog(path, 2);
  expect(readFileSync(path, 'utf8').split('\n')).toEqual([...lines.slice(0, 3), 'garbage', '']);
});
