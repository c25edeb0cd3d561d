/** Ranks that compute the same bits: the same version of the program, and builds of the kernels that round alike. */
import type { Communicator } from '../../collective/communicator.ts';
import { UserError } from '../../errors.ts';
import type { Device } from '../../engine/device.ts';
import { packageVersion } from '../../package-version.ts';
import { buildOf, hasSameBits } from '../session/kernel-build.ts';
import type { Readiness } from './commands.ts';

/** What this process computes with. */
export const readinessOf = ({ name }: Device): Readiness => ({
  engine: buildOf(name),
  version: packageVersion(),
});

/** @throws UserError that names the first rank that cannot take part */
export function checkAgreement({ hosts }: Communicator, ranks: readonly Readiness[]): void {
  const [first] = ranks;
  for (const [rank, { refusal, version, engine }] of ranks.entries()) {
    const who = `rank ${rank} (${hosts[rank]})`;
    if (refusal !== undefined)
      throw new UserError('engine-unavailable', `${who} cannot train this model: ${refusal}`);
    if (version !== first.version)
      throw new UserError(
        'engine-unavailable',
        `${who} runs gpt ${version}, rank 0 (${hosts[0]}) runs ${first.version}`,
        { hint: 'install the same version on all hosts' },
      );
    if (!hasSameBits(engine, first.engine))
      throw new UserError(
        'engine-unavailable',
        `the kernels of ${who}, '${engine}', round differently from those of rank 0 (${hosts[0]}), '${first.engine}'`,
        { hint: 'set GPT_ENGINE=simd on all ranks, which works everywhere' },
      );
  }
}
