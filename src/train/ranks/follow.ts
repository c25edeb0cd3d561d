/** A rank other than 0: it executes rank 0's commands, and neither reads nor writes files. */
import { ranksOnHost, type Communicator } from '../../collective/communicator.ts';
import type { Device } from '../../engine/device.ts';
import { isDeviceLeftToRun, useDevice } from '../../engine/device-choice.ts';
import type { LazyBackend } from '../../engine/backend.ts';
import { UserError } from '../../errors.ts';
import type { StorageOf } from '../../model/placement.ts';
import { allParts } from '../../polling.ts';
import { checkMemory, memoryLimits, memoryNeed } from '../memory.ts';
import { trainingPrograms, type TrainingShape } from '../programs.ts';
import { executeReplicaCommand } from '../replicas/execute-command.ts';
import { Replica } from '../replicas/replica.ts';
import { evaluatedModel, type Evaluated } from '../step-work.ts';
import { Trainer } from '../trainer.ts';
import { readinessOf } from './agreement.ts';
import { batchesOf, type Command, type Readiness, type SetUp } from './commands.ts';
import { bytesOf, receiveMessage, sendMessage, TAG, type Message } from './messages.ts';
import { SharedTrainer } from './shared-trainer.ts';

/**
 * Follows rank 0 until it ends the run.
 *
 * @param isSetUp called when this rank is set up; from then on, rank 0 needs it even to save
 */
export async function follow(
  ranks: Communicator,
  engine: LazyBackend,
  isSetUp: () => void = () => {},
): Promise<void> {
  let worker: SharedTrainer | Replica | undefined;
  const { timeout } = ranks;
  ranks.timeout = 0; // rank 0 may be silent for a long time while it reads a large text
  for (;;) {
    const message = await receiveMessage<Command>(ranks, 0, TAG.command);
    const { head } = message;
    if (head.type === 'end') return sendMessage(ranks, 0, TAG.reply, {});
    if (head.type === 'heartbeat') continue;
    if (head.type === 'set up') {
      ranks.timeout = timeout;
      isSetUp();
      worker = await joinRun(ranks, engine, head.run);
    } else if (head.type === 'evaluate') await evaluate(ranks, worker!.trainer, head.model, message);
    else if (head.type === 'replica')
      await executeReplicaCommand(ranks, worker as Replica, head.command, message.arrays);
    else await execute(ranks, worker as SharedTrainer, head, message);
  }
}

/** Sets up the model and tells rank 0, which ends the job if this rank cannot take part. */
async function joinRun(
  ranks: Communicator,
  engine: LazyBackend,
  run: SetUp,
): Promise<SharedTrainer | Replica | undefined> {
  const answer = (readiness: Readiness): Promise<void> => sendMessage(ranks, 0, TAG.reply, readiness);
  engine.matmulPrecision = run.matmulPrecision;
  try {
    if (run.isOnGpu && isDeviceLeftToRun()) await useDevice('webgpu');
    const { backend } = await engine.open();
    const worker = setUp(ranks, backend, run, engine.threads);
    await answer(readinessOf(backend));
    return worker;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    await answer({ refusal: error.message });
    return undefined;
  }
}

/** @throws UserError if the model does not fit in this host's memory */
function setUp(
  ranks: Communicator,
  device: Device,
  { shape, frozen, options, seed, outer, reduceDtype }: SetUp,
  threads: number,
): SharedTrainer | Replica {
  const trainerOf = (division: Pick<TrainingShape, 'ranks' | 'replicas'>): Trainer => {
    const frozenStorage: StorageOf | undefined = frozen && (({ name }) => frozen[name]);
    const divided = { ...shape, ...division, frozenStorage };
    const programs = trainingPrograms(divided);
    checkMemory(divided, memoryNeed(divided, programs), memoryLimits(threads, ranksOnHost(ranks)));
    return new Trainer(device, programs, options, seed);
  };
  return outer === undefined
    ? new SharedTrainer(ranks, device, trainerOf({ ranks }), reduceDtype)
    : new Replica(ranks, device, trainerOf({ replicas: ranks }), outer);
}

async function evaluate(
  ranks: Communicator,
  trainer: Trainer,
  model: Evaluated,
  { arrays }: Message<Command>,
): Promise<void> {
  const losses = await allParts(evaluatedModel(trainer, model).losses(batchesOf(arrays)[0], undefined));
  await ranks.send(0, TAG.reply, bytesOf(losses));
}

async function execute(
  ranks: Communicator,
  shared: SharedTrainer,
  command: Exclude<Command, { type: 'end' | 'heartbeat' | 'set up' | 'evaluate' | 'replica' }>,
  { arrays }: Message<Command>,
): Promise<void> {
  switch (command.type) {
    case 'step': {
      const { losses } = await shared.gradient({ ...command, batches: batchesOf(arrays) });
      await ranks.send(0, TAG.reply, bytesOf(Float64Array.from(losses)));
      return;
    }
    case 'update':
      return shared.update(command.updates, command.learningRate, command.matrixLearningRate);
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
