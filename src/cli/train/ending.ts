/** What is said after the last step. */
import type { TrainResult } from '../../train/train-model.ts';
import { formatDuration, formatNumber, formatTable } from '../../format.ts';
import { notice, printable, stderrColors } from '../terminal.ts';
import { shown } from './plan-table.ts';

/** How it went, where the model is and what to do with it. */
export function printEnd(
  { folder, reason, progress, validationLoss }: TrainResult,
  { seconds, uniformLoss }: { readonly seconds: number; readonly uniformLoss: number },
): void {
  const where = printable(shown(folder));
  const steps = `${formatNumber(progress.step)} steps`;
  if (reason === 'interrupted') {
    notice(`Interrupted after ${steps}; the model so far is in ${where}/`);
    printNext([
      ['go on', `gpt train --resume ${quoted(where)}`],
      ['try it', `gpt sample --model ${quoted(where)} --prompt "…"`],
    ]);
    return;
  }
  const early = reason === 'stopped early' ? ' (stopped early: no progress)' : '';
  notice(`\nDone after ${steps} in ${formatDuration(Math.round(seconds))}${early}.`);
  if (validationLoss !== undefined)
    notice(
      `Validation loss ${validationLoss.toFixed(4)} nats per token; guessing costs ${uniformLoss.toFixed(4)}.`,
    );
  const which =
    progress.bestStep > 0 ? `The best model, of step ${formatNumber(progress.bestStep)},` : 'The model';
  notice(`${which} is in ${stderrColors.bold(where)}/\n`);
  printNext([
    ['try it', `gpt sample --model ${quoted(where)} --prompt "…"`],
    ['measure it', `gpt eval FILE --model ${quoted(where)}`],
    ...(reason === 'finished'
      ? ([['train on', `gpt train --resume ${quoted(where)} --minutes ${more(seconds)}`]] as const)
      : []),
  ]);
}

const printNext = (rows: readonly (readonly [what: string, line: string])[]): void =>
  notice(formatTable(rows.map(([what, line]) => [what, stderrColors.cyan(line)])));

/** Minutes that are worth their while after so many seconds: twice as many. */
const more = (seconds: number): number => Math.max(1, Math.round((2 * seconds) / 60));

/** A path as a shell takes it. */
const quoted = (path: string): string =>
  /^[\w./~+=:@%,-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
