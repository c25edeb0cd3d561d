import type { Communicator } from '../../collective/communicator.ts';
import { batchesOf } from '../ranks/commands.ts';
import { TAG } from '../ranks/messages.ts';
import type { ReplicaCommand } from './commands.ts';
import type { Replica } from './replica.ts';

const never = (): Promise<boolean> => Promise.resolve(false);

/** Bytes of the message after each inner step. */
export const STEP_ACKNOWLEDGEMENT = 1;

/** Executes a command of rank 0 on another rank. */
export async function executeReplicaCommand(
  ranks: Communicator,
  replica: Replica,
  command: ReplicaCommand,
  arrays: readonly Int32Array[],
): Promise<void> {
  switch (command.type) {
    case 'inner step':
      await replica.gradient({ ...command, batches: batchesOf(arrays) }, never);
      return ranks.send(0, TAG.reply, new Uint8Array(STEP_ACKNOWLEDGEMENT));
    case 'inner update':
      return replica.update(command.updates, command.learningRate, command.matrixLearningRate);
    case 'synchronize':
      return replica.synchronize();
    case 'take mean':
      return replica.takeMean();
    case 'broadcast parameters':
      return replica.broadcastParameters();
    case 'start alike':
      return replica.startAlike();
    case 'restore':
      return replica.restore(command.haveDiverged);
    case 'gather':
      return replica.gather(command.haveDiverged);
  }
}
