import type { Device } from '../../engine/device.ts';
import { checkAgreement, readinessOf } from './agreement.ts';
import type { Readiness, SetUp } from './commands.ts';
import type { Leader } from './leader.ts';
import { receiveMessage, TAG } from './messages.ts';

/**
 * Sets up the model on the ranks other than 0.
 *
 * @throws UserError if one cannot take part
 */
export async function setUpRanks(leader: Leader, device: Device, run: SetUp): Promise<void> {
  const { ranks, others } = leader;
  await leader.tell({ type: 'set up', run });
  const answers = await Promise.all(others.map((rank) => receiveMessage<Readiness>(ranks, rank, TAG.reply)));
  const found = answers.map(({ head }) => head);
  checkAgreement(ranks, readinessOf(device), found);
}
