/**
 * Training processes are killed at random moments, most of them while a checkpoint is being written or an old one removed;
 * each is resumed, killed again and so on until it comes to its end. Then every byte must be as if nothing had happened.
 */
import { mkdtempSync, rmSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Philox } from '../../src/engine/philox.ts';
import { bytesOf, differences } from '../fixtures/run-bytes.ts';
import { isDone, launch, makeFolder, prepare, scenarios, type Scenario } from './scenarios.ts';

const KILLS = Number(process.env['GPT_KILLS'] ?? 200);
const SEED = Number(process.env['GPT_SEED'] ?? 1);
/** Kills before a run is let to its end. */
const KILLS_A_RUN = 10;
/** Runs at the same time. */
const LANES = 2;

const root = mkdtempSync(join(tmpdir(), 'kills-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const undisturbed = new Map<Scenario, ReadonlyMap<string, string>>();
beforeAll(async () => {
  prepare(root);
  await Promise.all(
    scenarios.map(async (scenario, i) => {
      const folder = join(root, `undisturbed-${i}`);
      makeFolder(scenario, folder, root);
      expect(await launch(scenario, folder, root).ended).toEqual({ code: 0, signal: null, stderr: '' });
      const bytes = bytesOf(folder);
      expect(bytes.size).toBeGreaterThan(12);
      undisturbed.set(scenario, bytes);
    }),
  );
});

/** Numbers in [0, 1). */
function randomNumbers(seed: number): () => number {
  const numbers = new Philox(seed, 0, 0);
  return () => numbers.uint32() / 2 ** 32;
}

interface Moment {
  /** What to wait for: nothing but the start of the process, a checkpoint being written, or an old one being removed. */
  readonly after: 'start' | 'writing' | 'removing';
  /** How often. */
  readonly times: number;
  /** And then so long. */
  readonly milliseconds: number;
}

function drawMoment(random: () => number): Moment {
  const kind = random();
  const times = 1 + Math.floor(3 * random());
  if (kind < 0.15) return { after: 'start', times: 0, milliseconds: 1000 * random() };
  if (kind < 0.75) return { after: 'writing', times, milliseconds: 60 * random() };
  return { after: 'removing', times, milliseconds: 4 * random() };
}

/** Starts a run or goes on with it, and kills it at a moment. @returns whether it was still running then */
async function disturb(scenario: Scenario, folder: string, moment: Moment): Promise<boolean> {
  const { child, ended } = launch(scenario, folder, root);
  let seen = 0;
  const names = { start: /./, writing: /^checkpoint-\d+\.\d+\.tmp$/, removing: /\.old\.\d+\.tmp$/ };
  const wanted = names[moment.after];
  const counted = new Set<string>();
  const kill = async (): Promise<void> => {
    if (moment.milliseconds >= 1) await sleep(moment.milliseconds);
    child.kill('SIGKILL');
  };
  const watcher = watch(folder, (_, name) => {
    if (moment.after === 'start' || name === null || !wanted.test(name) || counted.has(name)) return;
    counted.add(name);
    if (++seen === moment.times) void kill();
  });
  if (moment.after === 'start') void kill();
  const end = await ended;
  watcher.close();
  if (end.signal === 'SIGKILL') return true;
  expect(isDone(end), end.stderr).toBe(true);
  return false;
}

test(`${KILLS} processes killed, and all runs end as if undisturbed`, async () => {
  const random = randomNumbers(SEED);
  const tally = { start: 0, writing: 0, removing: 0 };
  const wrong: string[] = [];
  let kills = 0;
  let runs = 0;

  const lane = async (): Promise<void> => {
    while (kills < KILLS) {
      const number = runs++;
      const scenario = scenarios[number % scenarios.length];
      const folder = join(root, `run-${number}`);
      makeFolder(scenario, folder, root);
      const moments: string[] = [];
      let isRunning = true;
      while (isRunning && moments.length < KILLS_A_RUN && kills < KILLS) {
        const moment = drawMoment(random);
        isRunning = await disturb(scenario, folder, moment);
        if (!isRunning) break;
        kills++;
        tally[moment.after]++;
        moments.push(`${moment.after} ${moment.times} +${moment.milliseconds.toFixed(1)} ms`);
      }
      if (isRunning) {
        const end = await launch(scenario, folder, root).ended;
        expect(isDone(end), end.stderr).toBe(true);
      }
      const differing = differences(bytesOf(folder), undisturbed.get(scenario)!);
      if (differing.length > 0)
        wrong.push(`${scenario.name}, killed at ${moments.join('; ')}: ${differing.join(', ')}`);
      rmSync(folder, { recursive: true });
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  process.stdout.write(
    `${kills} kills in ${runs} runs: ${JSON.stringify(tally)}; ${wrong.length} runs differ\n`,
  );
  expect(wrong).toEqual([]);
  expect(kills).toBeGreaterThanOrEqual(KILLS); // the last of each lane may come at the same time
});
