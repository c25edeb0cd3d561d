/** `gpt prune`: deletes the files of finished runs that only --resume needs. */
import { lstatSync } from 'node:fs';
import type { Command } from 'commander';
import { sweepDeleted } from '../../checkpoint/delete-run.ts';
import { holderOf } from '../../checkpoint/lock.ts';
import { isRun } from '../../checkpoint/own-files.ts';
import { planPruning, pruneRun, type Pruning } from '../../checkpoint/prune-run.ts';
import { foldersIn, RUNS } from '../../checkpoint/runs.ts';
import { formatBytes, formatCountOf, formatNumber } from '../../format.ts';
import { whileDoing } from '../activity.ts';
import { describeExpected, isExpected } from '../errors.ts';
import { addExamples } from '../help.ts';
import { printJson } from '../json-output.ts';
import { modelFolder } from '../model-options.ts';
import { argument } from '../options.ts';
import { notice, printableLine, printMessage, warn } from '../terminal.ts';
import { confirm } from './confirm.ts';
import { withoutRepeated } from './rm.ts';

interface Flags {
  readonly yes?: true;
  readonly dryRun?: true;
  readonly json?: true;
}

export function register(command: Command): void {
  command
    .addArgument(
      argument('[run...]', 'runs to prune; default: all under checkpoints/ that have finished', modelFolder),
    )
    .option('-n, --dry-run', 'show what would be freed, without deleting anything')
    .option('-y, --yes', 'do not ask')
    .option('--json', 'print what was freed as JSON')
    .action(prune);
  addExamples(command, [
    ['What all finished runs would free', 'gpt prune --dry-run'],
    ['One run, which keeps its model but cannot be resumed', 'gpt prune moby-dick-1'],
  ]);
}

async function prune(given: readonly string[], { yes, dryRun, json }: Flags): Promise<void> {
  const runs = await whileDoing('reading the runs', () =>
    given.length > 0 ? withoutRepeated(given).flatMap((run) => planPruning(run) ?? []) : finishedRuns(),
  );
  const freed = runs.reduce((sum, run) => sum + run.freed, 0);
  if (runs.length > 0) for (const run of runs) notice(`  ${describe(run)}`);
  else notice(given.length > 0 ? 'Already pruned.' : `There is nothing to prune under ${RUNS}/.`);
  if (runs.length > 0 && dryRun !== true) {
    const what = runs.length === 1 ? 'this run' : `these ${formatCountOf(runs.length, 'run')}`;
    const question = `Prune ${what} and free ${formatBytes(freed)}? The models stay; training cannot be resumed.`;
    const isMeant = yes ?? (await confirm(question, 'pruning'));
    if (!isMeant) return printMessage('Nothing was deleted.');
    sweepDeleted(runs);
    for (const { folder } of runs) pruneRun(folder);
  }
  if (json)
    return printJson({
      pruned: runs.map((run) => ({ folder: run.folder, step: run.step, freed_bytes: run.freed })),
      freed_bytes: freed,
      dry_run: dryRun === true,
    });
  if (runs.length > 0)
    notice(
      dryRun === true
        ? `${formatBytes(freed)} would be freed.`
        : `Pruned ${formatCountOf(runs.length, 'run')}; ${formatBytes(freed)} freed.`,
    );
}

/**
 * All runs that are complete; others are pruned only by name. A run that cannot be pruned is skipped with a warning, and
 * links are not followed.
 */
const finishedRuns = (): Pruning[] =>
  foldersIn(RUNS)
    .filter((folder) => !lstatSync(folder).isSymbolicLink())
    .flatMap((folder) => {
      try {
        const run = isRun(folder) && holderOf(folder) === undefined ? planPruning(folder) : undefined;
        return run?.isComplete === true ? [run] : [];
      } catch (error) {
        if (!isExpected(error)) throw error;
        if (error.code !== 'no-checkpoint')
          warn(`left out ${printableLine(describeExpected(error).message)}`);
        return [];
      }
    });

const describe = ({ folder, step, isComplete, freed }: Pruning): string =>
  `${printableLine(folder)}  ${formatBytes(freed)}: the checkpoint of step ${formatNumber(step)}${isComplete ? '' : ', of a run that has not finished'}`;
