/** `gpt rm`: deletes runs. */
import { realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { ADAPTER_CONFIG, readAdapterConfig } from '../../checkpoint/adapter-config.ts';
import { findBase } from '../../checkpoint/adapter-folder.ts';
import { isAdapterFolder } from '../../checkpoint/checkpoint-folders.ts';
import { deleteRun, planDeletion, sweepDeleted, type Deletion } from '../../checkpoint/delete-run.ts';
import { foldersIn, RUNS } from '../../checkpoint/runs.ts';
import { attempt } from '../../errors.ts';
import { formatBytes, formatCountOf } from '../../format.ts';
import { addExamples } from '../help.ts';
import { printJson } from '../json-output.ts';
import { modelFolder } from '../model-options.ts';
import { argument } from '../options.ts';
import { notice, printableLine, printMessage, warn } from '../terminal.ts';
import { confirm } from './confirm.ts';

interface Flags {
  readonly yes?: true;
  readonly json?: true;
}

export function register(command: Command): void {
  command
    .addArgument(argument('<run...>', 'run folders, or names of runs under checkpoints/', modelFolder))
    .option('-y, --yes', 'do not ask')
    .option('--json', 'print what was deleted as JSON')
    .action(remove);
  addExamples(command, [
    ['Two runs, by name', 'gpt rm moby-dick-1 moby-dick-2'],
    ['In a script, without confirmation', 'gpt rm checkpoints/moby-dick-1 --yes'],
  ]);
}

async function remove(given: readonly string[], { yes, json }: Flags): Promise<void> {
  const runs = withoutRepeated(given).map(planDeletion);
  const freed = runs.reduce((sum, run) => sum + run.freed, 0);
  for (const run of runs) {
    notice(`  ${printableLine(run.folder)}  ${formatBytes(run.freed)}`);
    for (const adapter of adaptersOf(run, runs))
      warn(
        `${printableLine(adapter)} is an adapter of ${printableLine(run.folder)} and cannot be used without it`,
      );
  }
  const what = runs.length === 1 ? 'this run' : `these ${formatCountOf(runs.length, 'run')}`;
  const isMeant = yes ?? (await confirm(`Delete ${what} and free ${formatBytes(freed)}?`, 'deleting runs'));
  if (!isMeant) return printMessage('Nothing was deleted.');
  sweepDeleted(runs);
  for (const { folder } of runs) deleteRun(folder);
  if (json)
    return printJson({
      deleted: runs.map(({ folder, freed: bytes }) => ({ folder, freed_bytes: bytes })),
      freed_bytes: freed,
    });
  notice(`Deleted ${formatCountOf(runs.length, 'run')}; ${formatBytes(freed)} freed.`);
}

/** Drops repeated runs: one may be named twice, once by its path. Symbolic links are kept, to be refused later. */
export function withoutRepeated(folders: readonly string[]): string[] {
  const byPath = new Map(folders.map((folder) => [resolve(folder), folder]));
  return [...byPath.values()];
}

/** Adapters under checkpoints/ that are kept although their base is to be deleted. */
function adaptersOf({ folder }: Deletion, deleted: readonly Deletion[]): string[] {
  const real = (path: string): string | undefined => attempt(() => realpathSync(path));
  const gone = new Set(deleted.map((run) => real(run.folder)));
  return foldersIn(RUNS).filter((other) => {
    if (gone.has(real(other)) || !isAdapterFolder(other)) return false;
    const base = attempt(() => readAdapterConfig(join(other, ADAPTER_CONFIG)))?.basePath;
    const found = base === undefined ? undefined : findBase(other, base, true);
    return found !== undefined && real(found) === real(folder);
  });
}
