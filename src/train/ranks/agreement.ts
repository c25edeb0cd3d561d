/** Checks that ranks are bit-identical: the same version of the program, and builds of the kernels that round alike. */
import { rankName, type Communicator } from '../../collective/communicator.ts';
import { UserError } from '../../errors.ts';
import type { Device } from '../../engine/device.ts';
import { optionValues } from '../../messages.ts';
import { packageVersion } from '../../package-version.ts';
import { buildOf, hasSameBits } from '../session/kernel-build.ts';
import type { ComputesWith, Readiness } from './commands.ts';

/** What this process computes with. */
export const readinessOf = ({ name }: Device): ComputesWith => ({
  engine: buildOf(name),
  version: packageVersion(),
});

/**
 * @param first what rank 0 computes with
 * @param others the answers of ranks 1, 2, …
 * @throws UserError that names the first rank that cannot take part
 */
export function checkAgreement(
  { hosts }: Pick<Communicator, 'hosts'>,
  first: ComputesWith,
  others: readonly Readiness[],
): void {
  const refuse = (message: string, hint?: string): never => {
    throw new UserError('engine-unavailable', message, { ...(hint !== undefined && { hint }) });
  };
  for (const [i, found] of others.entries()) {
    const name = rankName(hosts, 1 + i);
    if ('refusal' in found) return refuse(`${name} cannot train this model: ${found.refusal}`);
    if (found.version !== first.version)
      refuse(
        `${name} runs gpt ${found.version}, and ${rankName(hosts, 0)} runs ${first.version}`,
        'install the same version on all hosts',
      );
    if (!hasSameBits(found.engine, first.engine))
      refuse(
        `the kernels of ${name}, '${found.engine}', round differently from those of ${rankName(hosts, 0)}, '${first.engine}'`,
        found.engine.startsWith('webgpu')
          ? `copy gpu-tiles.json from one host's cache folder to the others, or use ${optionValues({ device: 'cpu' })}`
          : 'set GPT_ENGINE=simd on all ranks, which works everywhere',
      );
  }
}
