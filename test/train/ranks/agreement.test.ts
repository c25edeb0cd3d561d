/** Ranks that cannot take part are refused before the run begins, each by its name; the end of a run is confirmed. */
import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import type { Communicator } from '../../../src/collective/communicator.ts';
import { lazyBackend } from '../../../src/engine/backend.ts';
import { UserError } from '../../../src/errors.ts';
import { packageVersion } from '../../../src/package-version.ts';
import type { Command, Readiness } from '../../../src/train/ranks/commands.ts';
import { follow } from '../../../src/train/ranks/follow.ts';
import { Leader } from '../../../src/train/ranks/leader.ts';
import { receiveMessage, sendMessage, TAG } from '../../../src/train/ranks/messages.ts';
import type { TrainModelOptions } from '../../../src/train/settings.ts';
import { trainModel } from '../../../src/train/train-model.ts';
import { failure } from '../../fixtures/failure.ts';
import { rankConfigurations } from '../../fixtures/rank-configurations.ts';
import { ranksInMemory } from '../../fixtures/ranks-in-memory.ts';

const root = mkdtempSync(join(tmpdir(), 'agreement-'));

let options: TrainModelOptions;
beforeAll(async () => {
  [options] = Object.values(await rankConfigurations(root));
});

/** A rank that answers the set-up, and does no more. */
async function answers(ranks: Communicator, readiness: Readiness): Promise<void> {
  let type: Command['type'];
  do ({ type } = (await receiveMessage<Command>(ranks, 0, TAG.command)).head);
  while (type !== 'set up');
  await sendMessage(ranks, 0, TAG.reply, readiness);
}

const engine = 'wasm revectorize';

test.each<{ what: string; readiness: Readiness; mentioned: string[] }>([
  {
    what: 'another version',
    readiness: { engine, version: '0.0.1' },
    mentioned: ['rank 2 on host2', '0.0.1', 'rank 0 on host0', packageVersion()],
  },
  {
    what: 'kernels that round differently',
    readiness: { engine: 'reference', version: packageVersion() },
    mentioned: ['rank 2 on host2', "'reference'", 'rank 0 on host0', "'wasm "],
  },
  { what: 'a refusal', readiness: { refusal: 'no memory' }, mentioned: ['rank 2 on host2', 'no memory'] },
])('$what is refused with the rank that has it', async ({ what, readiness, mentioned }) => {
  const [leader, first, second] = ranksInMemory(3);
  const backend = lazyBackend({ threads: 1, profile: false });
  const { backend: device } = await backend.open();
  void follow(first, backend);
  void answers(second, readiness);
  expect(device.name).toMatch(/^wasm /);
  const outDir = join(root, what.replaceAll(' ', '-'));
  await expect(trainModel({ ...options, outDir }, {}, leader)).rejects.toThrow(
    failure('engine-unavailable', ...mentioned),
  );
  expect(readdirSync(root)).not.toContain(outDir);
  await backend.close();
});

test('a rank whose engine does not start says so to rank 0', async () => {
  const [leader, other] = ranksInMemory(2);
  const broken = {
    threads: 1,
    open: () => Promise.reject(new UserError('engine-unavailable', 'AVX-512 is missing')),
    openFaster: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
  void follow(other, broken);
  await expect(trainModel({ ...options, outDir: join(root, 'broken') }, {}, leader)).rejects.toThrow(
    failure('engine-unavailable', 'rank 1 on host1', 'AVX-512 is missing'),
  );
});

test('the end of a run is reached when all ranks have confirmed it', async () => {
  const [ranks, prompt, slow] = ranksInMemory(3);
  const leader = new Leader(ranks);
  let hasEnded = false;
  const ended = leader.end().then(() => (hasEnded = true));
  await follow(prompt, lazyBackend({ threads: 1, profile: false }));
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(hasEnded).toBe(false);
  await follow(slow, lazyBackend({ threads: 1, profile: false }));
  await ended;
});
