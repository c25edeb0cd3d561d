/** Gradients sent in bfloat16 (`--reduce-dtype bf16`). */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { readTrainerState, trainerStateText } from '../../../src/checkpoint/trainer-state.ts';
import type { Communicator } from '../../../src/collective/communicator.ts';
import type { Device } from '../../../src/engine/device.ts';
import { Philox } from '../../../src/engine/philox.ts';
import { fromBfloat16, toBfloat16 } from '../../../src/half-precision.ts';
import type { TrainingPrograms } from '../../../src/train/programs.ts';
import { BUCKET, divideParameters } from '../../../src/train/ranks/division.ts';
import { subtreesOf } from '../../../src/train/ordered-sum.ts';
import { GradientExchange } from '../../../src/train/ranks/gradient-exchange.ts';
import { roundingRanks, type GradientDtype } from '../../../src/train/ranks/gradient-format.ts';
import { bytesOf as messageBytes, TAG } from '../../../src/train/ranks/messages.ts';
import type { TrainModelOptions } from '../../../src/train/settings.ts';
import type { RunDescription, TrainHandlers } from '../../../src/train/train-handlers.ts';
import { run as gpt } from '../../cli/run.ts';
import { rankConfigurations } from '../../fixtures/rank-configurations.ts';
import { ranksInMemory } from '../../fixtures/ranks-in-memory.ts';
import { bytesOf, differences } from '../../fixtures/run-bytes.ts';
import { trainOn } from '../../fixtures/train-on-ranks.ts';

const root = mkdtempSync(join(tmpdir(), 'reduce-'));
const at = (name: string): string => join(root, name);

const LENGTH = 2 * BUCKET + 1001;

/** The total of two ranks' gradients, each element from its owner, and the bytes that they send each other. */
async function exchange(dtype: GradientDtype, gradients: readonly Float32Array[]) {
  const buckets = divideParameters(LENGTH, [], 2);
  const programs = {
    gradients: { offset: 0, length: LENGTH },
    buckets,
    forwardBackward: { instructions: [] },
  } as unknown as TrainingPrograms;
  const total = new Float32Array(LENGTH);
  let bytes = 0;
  await Promise.all(
    ranksInMemory(2).map(async (ranks, rank) => {
      const memory = gradients[rank].slice();
      const device = {
        read: (offset: number, into: Float32Array) =>
          Promise.resolve(into).then(() => {
            into.set(memory.subarray(offset, offset + into.length));
            return into;
          }),
        write: (offset: number, numbers: Float32Array) => memory.set(numbers, offset),
      } as unknown as Device;
      const counting: Communicator = {
        ...ranks,
        send(to, tag, data) {
          if (tag === TAG.gradients) bytes += data.byteLength;
          return ranks.send(to, tag, data);
        },
      };
      const sum = new GradientExchange(counting, device, programs, dtype);
      sum.begin(2);
      for (const bucket of sum.order) await sum.send(bucket, subtreesOf(rank, 2, 2)[0]);
      await sum.finish();
      for (const { slices } of buckets)
        for (const { owner, start, end } of slices)
          if (owner === rank) total.set(memory.subarray(start, end), start);
    }),
  );
  return { total, bytes };
}

test('a rank rounds what it sends, adds in float32, and sends half the bytes', async () => {
  const random = new Philox(1, 2, 3);
  const gradients = [0, 1].map(() =>
    Float32Array.from({ length: LENGTH }, () => random.uint32() / 2 ** 31 - 1),
  );
  const rounded = gradients.map((numbers) => fromBfloat16(toBfloat16(numbers)));
  const ownerOf = new Int8Array(LENGTH);
  for (const { slices } of divideParameters(LENGTH, [], 2))
    for (const { owner, start, end } of slices) ownerOf.fill(owner, start, end);
  const expected = Float32Array.from(ownerOf, (owner, i) =>
    owner === 0 ? gradients[0][i] + rounded[1][i] : rounded[0][i] + gradients[1][i],
  );
  const [half, full] = [await exchange('bf16', gradients), await exchange('f32', gradients)];
  const sum = gradients[0].map((x, i) => x + gradients[1][i]);
  expect(Buffer.compare(messageBytes(half.total), messageBytes(expected))).toBe(0);
  expect(Buffer.compare(messageBytes(full.total), messageBytes(sum))).toBe(0);
  expect(full.bytes).toBe(4 * LENGTH);
  expect(half.bytes).toBe(2 * LENGTH);
});

/** Interrupts a run after a number of steps. */
function stopAfter(count: number): TrainHandlers {
  let steps = 0;
  return {
    event: ({ type }) => void (type === 'step' && steps++),
    interrupted: () => steps >= count,
  };
}

let runs: Record<string, TrainModelOptions>;
beforeAll(async () => {
  runs = await rankConfigurations(root);
});

test('runs on three ranks have the same bytes when repeated and when resumed, and nearly the loss of float32', async () => {
  for (const [name, options] of Object.entries(runs)) {
    const narrow = { ...options, reduceDtype: 'bf16' } as const;
    const folder = (what: string): string => at(`${name}-${what}`);
    const { validationLoss: loss } = await trainOn(3, { ...options, outDir: folder('float32') });
    const { validationLoss } = await trainOn(3, { ...narrow, outDir: folder('once') });
    await trainOn(3, { ...narrow, outDir: folder('again') });
    expect(differences(bytesOf(folder('once')), bytesOf(folder('again'))), name).toEqual([]);
    expect(validationLoss, name).not.toBe(loss);
    expect(validationLoss! / loss!, name).toBeCloseTo(1, 2);

    const outDir = folder('resumed');
    await trainOn(3, { ...narrow, outDir }, stopAfter(4));
    await trainOn(3, { corpus: [], resume: outDir, threads: 1 });
    const last = (run: string): Map<string, string> =>
      new Map([...bytesOf(run)].filter(([file]) => file.startsWith(`checkpoint-${options.maxIters}`)));
    expect(last(outDir).size).toBeGreaterThan(1);
    expect(differences(last(folder('once')), last(outDir)), name).toEqual([]);
  }
});

test('resuming with --reduce-dtype bf16 on another number of ranks warns; float32 does not', async () => {
  const [options] = Object.values(runs);
  const begin = async (name: string, more: Partial<TrainModelOptions>): Promise<string> => {
    const outDir = at(name);
    await trainOn(3, { ...options, ...more, outDir }, stopAfter(2));
    return outDir;
  };
  const formerRanks = async (resume: string, ranks: number): Promise<number | undefined> => {
    let run: RunDescription | undefined;
    const stop = { start: (made: RunDescription) => (run = made), interrupted: () => true };
    await trainOn(ranks, { corpus: [], resume, maxIters: 30, threads: 1 }, stop);
    return run!.otherRanks;
  };
  const narrow = await begin('begun-narrow', { reduceDtype: 'bf16' });
  expect(await formerRanks(narrow, 3)).toBeUndefined();
  expect(await formerRanks(narrow, 2)).toBe(3);
  const { stderr, code } = await gpt(['train', '--resume', narrow, '--max-iters', '20', '--threads', '1']);
  expect(code, stderr).toBe(0);
  expect(stderr).toMatch(
    /^warning: this run last used 3 ranks; with --reduce-dtype bf16, rounding depends on the number of ranks, so results differ from here on$/m,
  );
  expect(await formerRanks(narrow, 2)).toBe(1);
  expect(await formerRanks(await begin('begun-wide', {}), 2)).toBeUndefined();
});

test('ranks that evaluate a checkpoint but take no step leave its ranks and its engine as they are', async () => {
  const outDir = at('evaluated');
  await trainOn(3, { ...Object.values(runs)[0], reduceDtype: 'bf16', outDir }, stopAfter(2));
  const file = join(outDir, 'checkpoint-2', 'gpt_trainer_state.json');
  const { format: _, ...state } = readTrainerState(file);
  writeFileSync(file, trainerStateText({ ...state, engine: 'wasm simd', evaluation_due: true }));
  let isEvaluated = false;
  const stop = {
    event: ({ type }: { readonly type: string }) => void (isEvaluated ||= type === 'evaluation'),
    interrupted: () => isEvaluated,
  };
  await trainOn(2, { corpus: [], resume: outDir, threads: 1 }, stop);
  const after = readTrainerState(file);
  expect(after).toMatchObject({ step: 2, best_step: 2, ranks: 3, engine: 'wasm simd' });
  expect(after.evaluation_due).toBeUndefined();
});

test('the bits depend on the number of ranks only if gradients are sent in bfloat16', () => {
  expect(roundingRanks({ reduceDtype: 'f32' }, 3)).toBeUndefined();
  expect(roundingRanks({ reduceDtype: 'bf16' }, 3)).toBe(3);
  expect(roundingRanks({ reduceDtype: 'bf16', syncEvery: 8 }, 3)).toBeUndefined();
});
