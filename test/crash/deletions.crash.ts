/**
 * `gpt rm` and `gpt prune` are killed at random moments, most of them while they delete. What is left must be a run that
 * works, or none at all; and the same command, given once more, completes the work.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openModelFolder } from '../../src/checkpoint/open-model.ts';
import { resumeRun } from '../../src/checkpoint/run.ts';
import { Philox } from '../../src/engine/philox.ts';
import { listRuns } from '../../src/inspect/list-runs.ts';
import { hostTensor } from '../../src/model/tensor.ts';
import { parameterTable } from '../../src/model/parameters.ts';
import { trainModel } from '../../src/train/train-model.ts';

const KILLS = Number(process.env['GPT_KILLS'] ?? 200) / 10;
/** Temporary files in the checkpoint, so that deleting it takes some milliseconds. */
const FILES = 200;

const gpt = fileURLToPath(new URL('../../bin/gpt.js', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'deletions-'));
const parent = join(root, 'checkpoints');
const run = join(parent, 'whale');
const original = join(root, 'original');
afterAll(() => rmSync(root, { recursive: true, force: true }));

beforeAll(async () => {
  const corpus = join(root, 'corpus.txt');
  writeFileSync(corpus, 'The whale, the sea, the ship.\n'.repeat(50));
  const shape = { nLayer: 1, nHead: 1, nEmbd: 8, blockSize: 8, batchSize: 2, maxIters: 2, evalIters: 1 };
  await trainModel({ corpus: [corpus], outDir: original, ...shape });
  // An older checkpoint, as a process killed while it retired one leaves it.
  cpSync(join(original, 'checkpoint-2'), join(original, 'checkpoint-1'), { recursive: true });
  for (const name of ['checkpoint-1', 'checkpoint-2'])
    for (let i = 0; i < FILES; i++) writeFileSync(join(original, name, `config.json.${10 ** 6 + i}.tmp`), '');
});

/** Where the first change is made: the folder of the run is renamed; the state of its checkpoint is replaced. */
const changed = { rm: parent, prune: join(run, 'checkpoint-2') };

/**
 * Starts a command and kills it some time after its first change.
 *
 * @param isWritten only when the change is complete: temporary files do not count
 * @returns whether it was killed
 */
async function killed(
  command: keyof typeof changed,
  milliseconds: number,
  isWritten: boolean,
): Promise<boolean> {
  const args = [command, 'checkpoints/whale'];
  const child = spawn(process.execPath, [gpt, ...args, '--yes', '-q'], { cwd: root, stdio: 'ignore' });
  const ended = new Promise<NodeJS.Signals | null>((resolve) =>
    child.on('close', (_code, signal) => resolve(signal)),
  );
  const watcher = watch(changed[command], (_, name) => {
    if (isWritten && name?.endsWith('.tmp') === true) return;
    watcher.close();
    void sleep(milliseconds).then(() => child.kill('SIGKILL'));
  });
  const signal = await ended;
  watcher.close();
  return signal === 'SIGKILL';
}

const complete = async (args: readonly string[]): Promise<number | null> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [gpt, ...args, '--yes', '-q'], { cwd: root, stdio: 'ignore' });
    child.on('close', resolve);
  });

/** Loads the model, which verifies its checksum. */
function expectModel(): void {
  const model = openModelFolder(run);
  model.load(parameterTable(model.config).map(hostTensor));
}

test.each(['rm', 'prune'] as const)(
  `gpt %s, killed ${KILLS} times, leaves a run that works or none`,
  async (command) => {
    const numbers = new Philox(command.length, 0, 0);
    let kills = 0;
    let began = 0;
    for (let i = 0; i < KILLS; i++) {
      rmSync(parent, { recursive: true, force: true });
      mkdirSync(parent);
      cpSync(original, run, { recursive: true });
      const isKilled = await killed(command, (15 * numbers.uint32()) / 2 ** 32, i % 2 === 0);
      kills += Number(isKilled);
      const entries = readdirSync(parent);
      if (isKilled && command === 'rm' && !existsSync(run)) began++;
      const listed = listRuns(parent);
      expect(listed.map(({ name }) => name)).toEqual(existsSync(run) ? ['whale'] : []);
      if (existsSync(run)) {
        expect(listed[0].status).toBe('finished');
        expectModel();
        if (isKilled && command === 'prune' && listed[0].isPruned) began++;
        if (!listed[0].isPruned) resumeRun(run).close();
        expect(await complete([command, 'checkpoints/whale'])).toBe(0);
      } else if (entries.length > 0) {
        // Deleting another run removes what is left of this one.
        cpSync(original, run, { recursive: true });
        expect(await complete([command, 'checkpoints/whale'])).toBe(0);
      }
      if (command === 'rm') expect(readdirSync(parent)).toEqual([]);
      else {
        expectModel();
        expect(readdirSync(run).filter((name) => /checkpoint|tmp/.test(name))).toEqual(['checkpoint-2']);
        const left = readdirSync(join(run, 'checkpoint-2')).filter((name) => !name.endsWith('.tmp'));
        expect(left).toEqual(['gpt_trainer_state.json']);
      }
    }
    process.stdout.write(`gpt ${command}: ${kills} killed, ${began} of them after the deletion had begun\n`);
    expect(began).toBeGreaterThan(0);
  },
);
