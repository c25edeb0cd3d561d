/** A rank other than 0: it executes rank 0's commands, and neither reads nor writes files. */
import { ranksOnHost, type Communicator } from '../../collective/communicator.ts';
import type { Device } from '../../engine/device.ts';
import type { LazyBackend } from '../../engine/backend.ts';
import { UserError } from '../../errors.ts';
import { allParts } from '../../polling.ts';
import { checkMemory, memoryLimits, memoryNeed } from '../memory.ts';
import { trainingPrograms } from '../programs.ts';
import { evaluatedModel } from '../step-work.ts';
import { Trainer } from '../trainer.ts';
import { readinessOf } from './agreement.ts';
import { batchesOf, type Command, type SetUp } from './commands.ts';
import { subtreesOf } from './gradient-exchange.ts';
import { bytesOf, receiveMessage, sendMessage, TAG, type Message } from './messages.ts';
import { SharedTrainer } from './shared-trainer.ts';

/** Follows rank 0 until it ends the run. */
export async function follow(ranks: Communicator, engine: LazyBackend): Promise<void> {
  let shared: SharedTrainer | undefined;
  const { timeout } = ranks;
  ranks.timeout = 0; // rank 0 may be silent for long while it reads a large text
  for (;;) {
    const message = await receiveMessage<Command>(ranks, 0, TAG.command);
    const { head } = message;
    if (head.type === 'end') return;
    if (head.type === 'heartbeat') continue;
    if (head.type === 'set up') {
      ranks.timeout = timeout;
      const { backend } = await engine.open();
      const ready = readinessOf(backend);
      try {
        shared = setUp(ranks, backend, head.run, engine.threads);
        await sendMessage(ranks, 0, TAG.reply, ready);
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        await sendMessage(ranks, 0, TAG.reply, { ...ready, refusal: error.message });
      }
    } else await obey(ranks, shared!, head, message);
  }
}

/** @throws UserError if the model does not fit in this host's memory */
function setUp(
  ranks: Communicator,
  device: Device,
  { shape, frozen, options, seed }: SetUp,
  threads: number,
): SharedTrainer {
  const whole = {
    ...shape,
    ranks,
    frozenStorage: frozen && (({ name }: { readonly name: string }) => frozen[name]),
  };
  const own = subtreesOf(ranks.rank, shape.microBatches, ranks.size);
  const programs = trainingPrograms({
    ...whole,
    microBatches: Math.max(...own.map(({ start, end }) => end - start)),
  });
  checkMemory(whole, memoryNeed(whole, programs), memoryLimits(threads, ranksOnHost(ranks)));
  return new SharedTrainer(ranks, device, new Trainer(device, programs, options, seed));
}

const never = (): Promise<boolean> => Promise.resolve(false);

async function obey(
  ranks: Communicator,
  shared: SharedTrainer,
  command: Exclude<Command, { type: 'end' | 'heartbeat' | 'set up' }>,
  { arrays }: Message<Command>,
): Promise<void> {
  switch (command.type) {
    case 'step': {
      const { losses } = await shared.gradient({ ...command, batches: batchesOf(arrays) }, never);
      await ranks.send(0, TAG.reply, bytesOf(Float64Array.from(losses)));
      return;
    }
    case 'update':
      return shared.update(command.updates, command.learningRate, command.matrixLearningRate);
    case 'evaluate': {
      const model = evaluatedModel(shared.trainer, command.model);
      const losses = await allParts(model.losses(batchesOf(arrays)[0], undefined));
      await ranks.send(0, TAG.reply, bytesOf(losses));
      return;
    }
    case 'broadcast state':
      return shared.broadcastState();
    case 'broadcast parameters':
      return shared.broadcastParameters();
    case 'gather state':
      return shared.gatherState();
    case 'all-gather average':
      return shared.allGatherAverage();
  }
}
