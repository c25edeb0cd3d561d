/** `gpt report`: one or several runs as an HTML file, or their metrics as CSV. */
import { join } from 'node:path';
import { Option, type Command } from 'commander';
import { baseOf } from '../checkpoint/open-model.ts';
import { writeFileAtomic } from '../write-file.ts';
import type { Unk } from '../generate/prompt.ts';
import { UsageError } from '../errors.ts';
import { metricsCsv } from '../report/metrics-csv.ts';
import { reportOfRun } from '../report/report-of-run.ts';
import { comparisonReport, namesOf } from '../report/report.ts';
import { formatBytes } from '../format.ts';
import { whileDoing } from './activity.ts';
import { addExamples } from './help.ts';
import {
  argumentOrModel,
  baseOption,
  chosenModel,
  modelFolder,
  modelOption,
  startEngine,
  blasOption,
  deviceOption,
  threadsOption,
  unkOption,
  type ModelFlags,
} from './model-options.ts';
import { argument, option } from './options.ts';
import { filePath, nonEmptyText } from '../values.ts';
import { printJson } from './json-output.ts';
import { writeOutput } from './output-file.ts';
import { openLogs, openRun } from './read-run.ts';
import { notice, print, printable, stderrColors } from './terminal.ts';

interface Flags extends ModelFlags {
  readonly output?: string;
  readonly csv?: true;
  readonly text?: string;
  readonly unk: Unk;
  readonly json?: true;
}

export function register(command: Command): void {
  command
    .addArgument(argument('[run...]', 'run folders; default: the newest under checkpoints/', modelFolder))
    .addOption(modelOption('the same as a single argument'))
    .addOption(
      option(
        '-o, --output <file>',
        'default: report.html in the run, or here for several; -: stdout',
        filePath,
      ),
    )
    .addOption(
      new Option('--csv', 'the metrics as CSV instead, to stdout or --output').conflicts(['text', 'json']),
    )
    .addOption(option('--text <text>', 'text for the attention maps', nonEmptyText))
    .addOption(unkOption())
    .addOption(baseOption())
    .addOption(threadsOption())
    .addOption(deviceOption())
    .addOption(blasOption())
    .option('--json', 'print the path and size of the page as JSON')
    .action(writeReport);
  addExamples(command, [
    ['The newest run', 'gpt report'],
    ['A comparison of several runs', 'gpt report checkpoints/a checkpoints/b -o a-and-b.html'],
    ['Attention maps for a sentence of your own', 'gpt report --text "Call me Ishmael."'],
    ['The metrics, for a spreadsheet or pandas', 'gpt report checkpoints/a --csv -o a.csv'],
  ]);
}

async function writeReport(folders: readonly string[], flags: Flags, command: Command): Promise<void> {
  if (folders.length > 1) {
    refuseModelToo(command);
    if (flags.csv) return writeCsv(folders, flags.output);
    const names = namesOf(folders);
    const runs = await whileDoing('reading the runs', () =>
      folders.map((folder, i) => ({ name: names[i], run: openRun(folder, baseOf(folder, flags.base)) })),
    );
    await writePage(comparisonReport(runs), flags.output ?? 'report.html', { json: flags.json });
  } else {
    const folder = chosenModel(argumentOrModel(folders[0], flags, command));
    if (flags.csv) return writeCsv([folder], flags.output);
    const page = await runPage(folder, flags);
    if (flags.output !== undefined) await writePage(page, flags.output, { json: flags.json });
    else await writePage(page, join(folder, 'report.html'), { json: flags.json, write: writeInRun });
  }
}

function refuseModelToo(command: Command): void {
  if (command.getOptionValueSource('model') === 'cli')
    throw new UsageError('conflicting-options', '--model takes one run; give several as arguments', {
      hint: 'omit --model',
    });
}

/** Needs no model, so that a run can be watched from its first step on. */
async function writeCsv(folders: readonly string[], output = '-'): Promise<void> {
  const names = namesOf(folders);
  const runs = await whileDoing('reading the runs', () =>
    folders.map((folder, i) => ({ name: names[i], logs: openLogs(folder) })),
  );
  const csv = metricsCsv(runs);
  if (output === '-') return print(csv);
  writeOutput(output, csv, { name: 'a CSV file of metrics', has: (start) => /^(?:run,)?step,/.test(start) });
  notice(`Wrote ${stderrColors.bold(printable(output))}, ${formatBytes(Buffer.byteLength(csv))}.`);
}

const writeWebPage = (path: string, page: string): void =>
  writeOutput(path, page, { name: 'a web page', has: (start) => /^\s*<!doctype html/i.test(start) });

/** A run may come from someone else: a link in it is replaced, not followed. */
const writeInRun = (path: string, page: string): void => writeFileAtomic(path, [page]);

/** Writes a page to a file or stdout and reports where. */
export async function writePage(
  page: string,
  path: string,
  { json, write = writeWebPage }: { json?: true | undefined; write?: typeof writeWebPage } = {},
): Promise<void> {
  if (path === '-') return print(page);
  write(path, page);
  if (json) return printJson({ file: path, bytes: Buffer.byteLength(page) });
  notice(
    `Wrote ${stderrColors.bold(printable(path))}, ${formatBytes(Buffer.byteLength(page))}; open it in a browser.`,
  );
}

async function runPage(path: string, { text, unk, base, threads }: Flags): Promise<string> {
  const run = openRun(path, base);
  const backend = await startEngine(run.model, threads);
  try {
    return await whileDoing('reading the weights', ({ report }) =>
      reportOfRun(run, backend, { text, unk }, report),
    );
  } finally {
    await backend.close();
  }
}
