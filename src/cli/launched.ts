/** Whether a launcher such as mpirun started this process; loaded before any command. */
import type { Command } from 'commander';
import { detectLaunch } from '../collective/launch.ts';
import { UsageError } from '../errors.ts';

/** Commands that several ranks can run together. */
const SHARED_COMMANDS: ReadonlySet<string> = new Set(['train', 'doctor']);

/** @throws UsageError if a launcher started several processes of a command that is not divided */
export function checkDivisible(command: Command): void {
  if (SHARED_COMMANDS.has(command.name()) || detectLaunch(process.env) === undefined) return;
  throw new UsageError('conflicting-options', `gpt ${command.name()} is not divided among processes`, {
    hint: 'start it without mpirun or srun',
  });
}

/** Whether this process is a rank other than 0, whose wrong usage rank 0 reports. */
export const isFollower = (): boolean => (detectLaunch(process.env)?.rank ?? 0) > 0;
