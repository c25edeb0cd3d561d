/** Whether a launcher such as mpirun started this process; loaded before any command. */
import { hostname } from 'node:os';
import type { Command } from 'commander';
import { detectLaunch } from '../collective/launch.ts';
import { UsageError } from '../errors.ts';
import type { GivenCommand } from './foreign-flags.ts';

/** Commands that several ranks can run together. */
const SHARED_COMMANDS: ReadonlySet<string> = new Set(['train', 'doctor']);

/** @throws UsageError if a launcher started several processes of a command that is not divided */
export function checkDivisible(command: Command): void {
  if (SHARED_COMMANDS.has(command.name()) || detectLaunch(process.env) === undefined) return;
  throw new UsageError('conflicting-options', `gpt ${command.name()} is not divided among processes`, {
    hint: 'start it without mpirun or srun',
  });
}

/** Whether other ranks may wait for this one, if it fails. Each runs gpt doctor by itself, except to measure the network. */
export const mayWaitFor = ({ line, args }: GivenCommand): boolean =>
  line !== 'gpt doctor' || args.includes('--mpi');

/** Name and host of this process if it is a rank other than 0, which follows rank 0's options. */
export function followerName(): string | undefined {
  const rank = detectLaunch(process.env)?.rank ?? 0;
  return rank > 0 ? `rank ${rank} on ${hostname()}` : undefined;
}
