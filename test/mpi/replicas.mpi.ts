/** `gpt train --sync-every` on ranks of a library: the bytes of ranks in memory, also after a kill. */
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, it } from 'vitest';
import { latestCheckpoint } from '../../src/checkpoint/checkpoint-folders.ts';
import { LOCK } from '../../src/checkpoint/lock.ts';
import { rankConfigurations } from '../fixtures/rank-configurations.ts';
import { bytesOf, differences } from '../fixtures/run-bytes.ts';
import { trainOn } from '../fixtures/train-on-ranks.ts';
import { gpt, implementations, isAlive, mpirun, type MpiRunOptions } from './mpirun.ts';

const root = mkdtempSync(join(tmpdir(), 'mpi-replicas-'));
const at = (...names: string[]): string => join(root, ...names);
const RANKS = 2;
const STEPS = 60;

/** A run of seconds. Its checkpoints are before, at and after synchronizations. */
const options = {
  maxIters: STEPS,
  evalInterval: 20,
  evalIters: 2,
  saveEvery: 3,
  seed: 7,
  batchSize: 2,
  blockSize: 16,
  gradientAccumulationSteps: 4,
  sampleTokens: 0,
  nLayer: 2,
  nHead: 2,
  nEmbd: 32,
  arch: 'qwen3',
  optimizer: 'muon',
  emaDecay: 0.9,
  syncEvery: 8,
} as const;

const flags = Object.entries(options).flatMap(([name, value]) => [
  `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
  String(value),
]);

/** The checkpoint of the last step. */
const lastOf = (folder: string): Map<string, string> =>
  new Map([...bytesOf(folder)].filter(([file]) => file.startsWith(`checkpoint-${STEPS}`)));

let expected: Map<string, string>;
beforeAll(async () => {
  await rankConfigurations(root);
  await trainOn(RANKS, { ...options, corpus: [at('corpus.txt')], outDir: at('in-memory'), threads: 1 });
  expected = lastOf(at('in-memory'));
  expect(expected.size).toBeGreaterThan(1);
});

it.each(implementations)(
  '%s: a run of two replicas that is killed resumes to the same bytes',
  async (name) => {
    const train = (args: readonly string[], more: Partial<MpiRunOptions> = {}) =>
      mpirun(name, [gpt, 'train', ...args, '--quiet'], { ranks: RANKS, ...more });
    const folder = at(name);
    let launcher = 0;
    const killed = train([at('corpus.txt'), ...flags, '-o', folder], { onStart: (pid) => (launcher = pid) });
    const stepOf = (): number => (existsSync(folder) ? (latestCheckpoint(folder)?.step ?? 0) : 0);
    while (stepOf() < 5) await sleep(5);
    const { pid } = JSON.parse(readFileSync(join(folder, LOCK), 'utf8')) as { readonly pid: number };
    process.kill(pid, 'SIGKILL'); // rank 0; its launcher ends the other one
    expect((await killed).code).not.toBe(0);
    expect(isAlive(launcher)).toBe(false);
    expect(stepOf()).toBeLessThan(STEPS);

    const { stderr, code } = await train(['--resume', folder]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(differences(expected, lastOf(folder))).toEqual([]);

    const alone = await mpirun(name, [gpt, 'train', '--resume', folder, '--max-iters', '70'], { ranks: 3 });
    expect(alone.code).not.toBe(0);
    expect(alone.stderr.match(/2 replicas, but 3 ranks/g), JSON.stringify(alone)).toHaveLength(1);
  },
);
