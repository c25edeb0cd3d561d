/** `gpt train`: trains a model on text. */
import { Option, type Command } from 'commander';
import { newestResumable, resolveRun } from '../checkpoint/runs.ts';
import { defaultThreads } from '../engine/wasm.ts';
import { UsageError, UserError } from '../errors.ts';
import { formatCountOf } from '../format.ts';
import { trainCall } from '../messages.ts';
import { isModelOpen } from '../train/budget.ts';
import type { TrainModelOptions } from '../train/settings.ts';
import type { TrainEvent } from '../train/events.ts';
import { trainModel, type TrainResult } from '../train/train-model.ts';
import type { RunDescription, TrainHandlers } from '../train/train-handlers.ts';
import { startActivity } from './activity.ts';
import { replacementsToJson } from './decoding-options.ts';
import { addExamples } from './help.ts';
import { onInterrupt, type Interrupt } from './interrupt.ts';
import { argument, option } from './options.ts';
import { filePath } from '../values.ts';
import { formatProfile } from './profile-table.ts';
import { deviceOption } from './model-options.ts';
import type { DeviceChoice } from '../engine/device-choice.ts';
import { disconnect } from './connected-ranks.ts';
import { followRank0, joinRanks, warnOfBinding } from './ranks.ts';
import {
  addGroup,
  addRunOptions,
  rankTimeoutOption,
  withoutOtherFlags,
  type OtherFlags,
} from './run-options.ts';
import { printJson } from './json-output.ts';
import { isQuiet, notice, print, printable, printError, warn } from './terminal.ts';
import { compareEnd, printEnd, type Comparison, type Ending } from './train/ending.ts';
import { createEventStream, type EventStream } from './train/event-stream.ts';
import { printRunTable } from './train/run-table.ts';
import { createView } from './train/create-view.ts';
import { watchTraining } from './train/warnings.ts';
import { noticeIfTextTyped } from './typed-input.ts';
import { saveFailureWarnings, warnOfIncident } from './train/incidents.ts';

export function register(command: Command): void {
  command.addArgument(
    argument('[corpus...]', 'text files or folders; - for stdin; or a tokens.bin of gpt tokenize', filePath),
  );
  addRunOptions(command);
  command.addOption(deviceOption(undefined, "cpu, or a resumed run's"));
  addGroup(command, 'Evaluation and output');
  command
    .addOption(option('-o, --out-dir <folder>', 'default: checkpoints/<corpus>-<n>', filePath))
    .option('--overwrite', 'replace the run in --out-dir')
    .option('--resume [run]', 'continue a run, by default the newest, bit for bit')
    .option('--force', 'resume although options or the corpus have changed')
    .option('--profile', 'print the time per kernel at the end')
    .option('--json', 'print the result as JSON')
    .addOption(jsonEventsOption())
    .addOption(rankTimeoutOption())
    .action(runTraining);
  addExamples(command, [
    ['A model that fits the text, in three minutes', 'gpt train book.txt'],
    ['A better one in half an hour', 'gpt train book.txt --minutes 30'],
    ['Words instead of characters', 'gpt train book.txt --tokenizer word'],
    ["nanoGPT's CPU run", 'gpt train input.txt --preset nano --max-iters 2000 --learning-rate 1e-3'],
    ['Fine-tune a trained model, or GPT-2', 'gpt train poems.txt --init-from gpt2/ --max-iters 200'],
    ['Continue a run, or extend it', 'gpt train --resume checkpoints/moby-dick-1 --max-iters 1000'],
    ['Its losses, as they come', 'gpt train book.txt --json=events | jq -c \'select(.event == "eval")\''],
    ['From a pipe', 'cat chapters/*.txt | gpt train - -o checkpoints/novel'],
  ]);
}

/** Not an optional value of --json, which would take the text in `gpt train --json book.txt` for one. */
function jsonEventsOption(): Option {
  const made = new Option('--json=events', 'print each event as a line of JSON, as it happens');
  made.attributeName = () => 'jsonEvents';
  return made.implies({ json: true });
}

type Flags = Omit<TrainModelOptions, 'corpus' | 'resume'> &
  OtherFlags & {
    readonly json?: true;
    readonly jsonEvents?: true;
    readonly device?: DeviceChoice;
    readonly resume?: string | true;
    readonly rankTimeout: number;
  };

async function runTraining(corpus: string[], all: Flags, command: Command): Promise<void> {
  const { json, jsonEvents, rankTimeout, device, ...given } = withoutOtherFlags(all);
  // Comes first: the other ranks wait until this process has joined them or failed.
  const own = { threads: given.threads, device };
  const ranks = await joinRanks({ ...own, rankTimeout });
  if (ranks !== undefined && ranks.rank > 0) return followRank0(ranks, own);
  const stream = jsonEvents ? createEventStream() : undefined;
  const options = optionsFor(corpus, given, command);
  noticeIfTextTyped([...options.corpus, options.valFile]);
  if (ranks !== undefined) warnOfBinding(ranks, options.threads);
  const shared = ranks ? { threads: defaultThreads(ranks.threads), ...options } : options;
  // While the text is read and speed is measured, there is nothing to save, and a signal ends the process.
  let interrupt: Interrupt | undefined;
  const view = createView();
  let watch: ((event: TrainEvent) => string | undefined) | undefined;
  const started = performance.now();
  let run: RunDescription;
  let lastEvaluation: (TrainEvent & { type: 'evaluation' }) | undefined;
  let comparison: Comparison = {};
  let result: TrainResult;
  const preparation = startActivity();
  try {
    const handlers: TrainHandlers = {
      asked: 0, // when the process started
      preparing: preparation.report,
      measuring: () => preparation.update('measuring this computer'),
      start: (made) => {
        preparation.stop();
        run = made;
        const announce = (): void => notice('Saving; press Ctrl-C again to quit at once.');
        interrupt = onInterrupt(announce, ranks !== undefined);
        watch = watchTraining(made);
        printRunTable(made);
        noticeOfUnchosenRecipe(options);
        view.start(made);
      },
      event: (event, settings) => {
        if (event.type === 'evaluation') lastEvaluation = event;
        view.event(event, settings);
        if (event.type === 'end') comparison = compareEnd(event, run, !json);
        warnOfIncident(event);
        const warning = watch?.(event);
        if (warning !== undefined) warn(warning);
      },
      working: view.working,
      ...(!isQuiet() && { sample: view.sample }),
      interrupted: () => interrupt?.arrived() ?? false,
      notSaved: saveFailureWarnings(),
    };
    result = await trainModel(shared, stream?.following(handlers) ?? handlers, ranks);
    await disconnect();
  } finally {
    preparation.stop();
    view.end();
  }
  const seconds = (performance.now() - started) / 1000;
  // A resumed run returns to its GPU without a flag; an environment variable also applies to the next command.
  const named = command.getOptionValueSource('device') === 'env' ? undefined : (device ?? 'webgpu');
  const ending = { run: run!, seconds, device: named, lastEvaluation, comparison };
  await printResult(result, ending, { json, stream });
  interrupt?.end();
  if (stream?.isAbandoned === true && result.reason === 'interrupted') throw abandonedError(result);
}

/** The model is saved, but the exit code tells a script that training did not finish. */
const abandonedError = ({ folder, progress }: TrainResult): UserError =>
  new UserError(
    'write-failed',
    `training stopped after ${formatCountOf(progress.step, 'step')}, because the reader of its events has closed the pipe`,
    { hint: `everything is saved; to continue: ${trainCall([], { resume: folder })}` },
  );

async function printResult(
  result: TrainResult,
  ending: Ending,
  { json, stream }: { readonly json: true | undefined; readonly stream: EventStream | undefined },
): Promise<void> {
  if (stream !== undefined) return stream.end(summary(result, ending));
  if (json) return printJson(summary(result, ending));
  printEnd(result, ending);
  // For m=$(gpt train book.txt). On a terminal, the lines above name the folder.
  if (!process.stdout.isTTY) await print(`${result.folder}\n`);
  if (result.profile !== undefined) printError(`\n${formatProfile(result.profile)}`);
}

/** For a number of steps and nothing else about the model: a run with a time limit would train another one. */
function noticeOfUnchosenRecipe({ maxIters, ...options }: TrainModelOptions): void {
  const names = ['nHead', 'blockSize', 'arch', 'optimizer', 'initFrom', 'resume'] as const;
  const isOpen = isModelOpen(options) && names.every((name) => options[name] === undefined);
  if (maxIters === undefined || !isOpen) return;
  notice(
    "With a number of steps, model and optimizer are nanoGPT's. --minutes N chooses ones that learn more in the time.",
  );
}

/** A new run uses all flags including defaults; a resumed run has stored options, so only flags that were typed count. */
function optionsFor(
  corpus: readonly string[],
  { resume, ...flags }: Omit<Flags, 'json' | 'jsonEvents' | 'rankTimeout' | 'device' | keyof OtherFlags>,
  command: Command,
): TrainModelOptions {
  if (resume === undefined) {
    if (corpus.length === 0)
      throw new UsageError('missing-argument', 'no text was given', {
        hint: 'pass a file or folder, or - for stdin',
      });
    return { corpus, ...flags };
  }
  const said = Object.entries(flags).filter(([name]) => command.getOptionValueSource(name) !== 'default');
  return {
    ...Object.fromEntries(said),
    corpus,
    resume: resume === true ? newestRunNamed() : resolveRun(resume),
  };
}

/** Named before anything can fail. */
function newestRunNamed(): string {
  const newest = newestResumable();
  notice(`Resuming the newest run, ${printable(newest)}`);
  return newest;
}

const summary = (
  { folder, reason, progress, validationLoss, profile }: TrainResult,
  { run: { replacements }, comparison: { bitsPerByte } }: Ending,
) => ({
  folder,
  reason,
  steps: progress.step,
  best_step: progress.bestStep,
  best_is_average: progress.isBestAverage,
  val_loss: validationLoss ?? null,
  bits_per_byte: bitsPerByte ?? null,
  ...replacementsToJson(replacements),
  ...(profile && { profile }),
});
