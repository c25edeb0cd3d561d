/** `gpt report`: one or several runs as an HTML file, or their metrics as CSV. */
import { join } from 'node:path';
import { Option, type Command } from 'commander';
import { baseOf } from '../checkpoint/open-model.ts';
import { writeFileAtomic } from '../write-file.ts';
import { Decoder } from '../generate/decoder.ts';
import type { TensorTarget } from '../model/tensor.ts';
import { generate } from '../generate/generate.ts';
import { encodePrompt, startOfText, type Unk } from '../generate/prompt.ts';
import type { RunRecord } from '../inspect/run-record.ts';
import { UsageError } from '../errors.ts';
import type { Report } from '../reporting.ts';
import { metricsCsv } from '../report/metrics-csv.ts';
import { VIEWED_TOKENS, viewModel } from '../report/model-views.ts';
import { comparisonReport, namesOf, runReport } from '../report/report.ts';
import type { Device } from '../engine/device.ts';
import { bannedIds } from '../tokenizer/tokenizer.ts';
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
  writeOutput(output, csv);
  notice(`Wrote ${stderrColors.bold(printable(output))}, ${formatBytes(Buffer.byteLength(csv))}.`);
}

/** A run may come from someone else: a link in it is replaced, not followed. */
const writeInRun = (path: string, page: string): void => writeFileAtomic(path, [page]);

/** Writes a page to a file or stdout and reports where. */
export async function writePage(
  page: string,
  path: string,
  { json, write = writeOutput }: { json?: true | undefined; write?: typeof writeOutput } = {},
): Promise<void> {
  if (path === '-') return print(page);
  write(path, page);
  if (json) return printJson({ file: path, bytes: Buffer.byteLength(page) });
  notice(
    `Wrote ${stderrColors.bold(printable(path))}, ${formatBytes(Buffer.byteLength(page))}; open it in a browser.`,
  );
}

async function runPage(path: string, flags: Flags): Promise<string> {
  const run = openRun(path, flags.base);
  const { model } = run;
  const backend = await startEngine(model, flags.threads);
  try {
    const ids = await whileDoing('preparing the text', ({ report }) =>
      textToRead(run, backend, flags, report),
    );
    const shown = ids.slice(0, Math.min(VIEWED_TOKENS, model.config.blockSize));
    return await whileDoing('reading the weights', async (activity) =>
      runReport(run, await viewModel(model, backend, shown, activity.report), {
        hasSample: flags.text === undefined,
      }),
    );
  } finally {
    await backend.close();
  }
}

/** The given text, else the last sample of the run, else a new sample. */
async function textToRead(
  { model, logs }: RunRecord,
  device: Device,
  { text: given, unk }: Flags,
  report: Report,
): Promise<Uint32Array> {
  const { tokenizer, config } = model;
  if (given !== undefined) return encodePrompt(tokenizer, given.toWellFormed(), unk).ids;
  const sample = logs.samples.at(-1)?.text ?? '';
  if (sample !== '') return encodePrompt(tokenizer, sample, 'replace').ids;
  const load = (tensors: TensorTarget[]): void =>
    model.load(tensors, { loaded: (done) => report('loading the model', done) });
  const decoder = Decoder.create(device, config, load, 1, model.storageOf);
  const drawing = { temperature: 0.8, topK: 0, topP: 1, maxTokens: VIEWED_TOKENS, seed: 1 };
  const banned = bannedIds(tokenizer);
  const ids: number[] = [];
  for await (const id of generate(decoder, startOfText(tokenizer).ids, { ...drawing, banned })) ids.push(id);
  return Uint32Array.from(ids);
}
