/** `gpt train`: text in, model folder out. */
import type { Command } from 'commander';
import { newestResumable } from '../checkpoint/runs.ts';
import { UsageError } from '../errors.ts';
import type { TrainEvent } from '../train/loop.ts';
import { isSaveEvery, type SaveEvery, type TrainModelOptions } from '../train/settings.ts';
import { trainModel, type TrainPlan, type TrainResult } from '../train/train-model.ts';
import {
  describeVocabulary,
  formatBytes,
  formatDuration,
  formatNumber,
  formatRate,
  formatTable,
} from './format.ts';
import { addExamples } from './help.ts';
import { onInterrupt } from './interrupt.ts';
import { warnOfSlowEngine } from './model-options.ts';
import { argument, filePath, option, wholeNumber, type Value } from './options.ts';
import { addRunOptions } from './run-options.ts';
import { tellTrouble, warnNotSaved } from './training-trouble.ts';
import { describeModel, describeTraining } from './run-summary.ts';
import { startProgressBar, type ProgressBar } from './progress-bar.ts';
import { formatProfile } from './profile-table.ts';
import { isQuiet, notice, print, printError, printable, stderrColors, warn } from './terminal.ts';

const positive = wholeNumber({ min: 1 });
const saveEvery: Value<SaveEvery> = {
  expected: 'a number of steps, or a time such as 30s, 10m or 1h',
  read: (text) => wholeNumber().read(text) ?? (isSaveEvery(text) ? text : undefined),
};

export function register(command: Command): void {
  command.addArgument(
    argument(
      '[corpus...]',
      'text files or folders to learn from; - for stdin; or the tokens.bin of gpt tokenize',
      filePath,
    ),
  );
  addRunOptions(command);
  command.optionsGroup('Evaluation and output:');
  command
    .addOption(option('--eval-interval <n>', 'steps between evaluations; 0: only at the end', wholeNumber()))
    .addOption(option('--eval-iters <n>', 'batches of each split in an evaluation (default: 20)', positive))
    .addOption(
      option(
        '--patience <n>',
        'stop after so many evaluations without progress; 0: never (default)',
        wholeNumber(),
      ),
    )
    .addOption(
      option(
        '--save-every <when>',
        'checkpoint every n steps or, as in 10m, minutes (default); 0: never',
        saveEvery,
      ),
    )
    .addOption(option('--sample-tokens <n>', 'write a sample after evaluations; 0: none', wholeNumber(), 120))
    .addOption(option('-o, --out-dir <folder>', 'default: checkpoints/<corpus>-<n>', filePath))
    .option('--overwrite', 'replace the run in --out-dir')
    .option('--resume [run]', 'go on with a run, by default the newest, to the very same bits')
    .option('--force', 'resume although options or the corpus have changed')
    .option('--profile', 'show at the end where the time went, kernel by kernel')
    .option('--json', 'print the result as JSON')
    .action(runTraining);
  addExamples(command, [
    ['A model that suits the text, in three minutes', 'gpt train book.txt'],
    ['A better one in half an hour', 'gpt train book.txt --minutes 30'],
    ['Words instead of characters', 'gpt train book.txt --tokenizer word --min-frequency 3'],
    ["nanoGPT's CPU run", 'gpt train input.txt --preset nano --max-iters 2000 --learning-rate 1e-3'],
    ['Go on where it stopped, or for longer', 'gpt train --resume checkpoints/moby-dick-1 --max-iters 1000'],
    ['From a pipe', 'cat chapters/*.txt | gpt train - -o checkpoints/novel'],
  ]);
}

type Flags = Omit<TrainModelOptions, 'corpus' | 'resume'> & {
  readonly json?: true;
  readonly resume?: string | true;
  // Of every command; no part of a run's options.
  readonly quiet?: true;
  readonly verbose?: true;
  readonly debug?: true;
  readonly config?: string;
  readonly color?: boolean;
};

async function runTraining(corpus: string[], all: Flags, command: Command): Promise<void> {
  const {
    json,
    quiet: _quiet,
    verbose: _verbose,
    debug: _debug,
    config: _config,
    color: _color,
    ...flags
  } = all;
  const options = optionsFor(corpus, flags, command);
  const interrupt = onInterrupt(() =>
    notice('Finishing the step and saving; press Ctrl-C again to stop at once.'),
  );
  const view = createView();
  let result: TrainResult;
  try {
    result = await trainModel(options, {
      plan: view.plan,
      refitted: view.refitted,
      event: (event) => {
        view.event(event);
        tellTrouble(event);
      },
      ...(!isQuiet() && { sample: view.sample }),
      interrupted: () => interrupt.arrived(),
      notSaved: warnNotSaved,
    });
  } finally {
    view.end();
  }
  if (json) await print(`${JSON.stringify(summary(result))}\n`);
  else printEnd(result);
  if (result.profile !== undefined && !json) printError(`\n${formatProfile(result.profile)}`);
  interrupt.end();
}

/** A new run takes every flag, defaults included; one that goes on has options of its own, and only what was said counts. */
function optionsFor(
  corpus: readonly string[],
  { resume, ...flags }: Omit<Flags, 'json' | 'quiet' | 'verbose' | 'debug' | 'config' | 'color'>,
  command: Command,
): TrainModelOptions {
  if (resume === undefined) {
    if (corpus.length === 0)
      throw new UsageError('no text was given', { hint: 'name a file or folder, or - for stdin' });
    return { corpus, ...flags };
  }
  const said = Object.entries(flags).filter(([name]) => command.getOptionValueSource(name) !== 'default');
  return { ...Object.fromEntries(said), corpus, resume: resume === true ? newestResumable() : resume };
}

const summary = ({ folder, reason, progress, validationLoss, profile }: TrainResult) => ({
  folder,
  reason,
  steps: progress.step,
  best_step: progress.bestStep,
  best_loss: Number.isFinite(progress.bestLoss) ? progress.bestLoss : null,
  val_loss: validationLoss ?? null,
  ...(profile && { profile }),
});

function printEnd({ folder, reason, progress, validationLoss }: TrainResult): void {
  const where = shown(folder);
  const steps = `${formatNumber(progress.step)} steps`;
  if (reason === 'interrupted')
    notice(`Interrupted after ${steps}; the model so far is in ${printable(where)}/`);
  else {
    const early = reason === 'stopped early' ? ' (stopped early: no progress)' : '';
    const loss = validationLoss === undefined ? '' : `, validation loss ${validationLoss.toFixed(4)}`;
    notice(
      `\nDone after ${steps}${early}${loss}. The best model, of step ${formatNumber(progress.bestStep)}, is in ${stderrColors.bold(printable(where))}/`,
    );
  }
  notice(`Try it: ${stderrColors.cyan(`gpt sample --model ${printable(where)} --prompt "…"`)}`);
}

/** What a run shows: the plan, a bar on a terminal or a line now and then elsewhere, evaluations and samples. */
function createView() {
  let bar: ProgressBar | undefined;
  let totals = { tokensPerStep: 1, maxIters: 1, uniformLoss: 0, printed: performance.now() };
  const recent: number[] = []; // seconds of the last steps

  return {
    plan: (plan: TrainPlan): void => {
      const { settings, tokensPerStep, uniformLoss } = plan;
      totals = { tokensPerStep, maxIters: settings.maxIters, uniformLoss, printed: performance.now() };
      printPlan(plan);
      bar = startProgressBar({ label: 'step', total: settings.maxIters, start: plan.startStep });
    },
    event: (event: TrainEvent): void => {
      if (event.type === 'step') {
        recent.push(event.seconds);
        if (recent.length > 50) recent.shift();
        const rate = (totals.tokensPerStep * recent.length) / recent.reduce((a, b) => a + b, 0);
        if (event.step === 1)
          // a run that goes on has no first loss
          notice(
            stderrColors.dim(
              `first loss ${event.loss.toFixed(4)}; guessing costs ln(V) = ${totals.uniformLoss.toFixed(4)}`,
            ),
          );
        const fields = [`loss ${event.loss.toFixed(4)}`, formatRate(rate, 'tok')];
        if (bar !== undefined) bar.update(event.step, fields);
        else if (isTimeForLine(event.step)) {
          const left = ((totals.maxIters - event.step) * totals.tokensPerStep) / rate;
          notice(
            `step ${event.step}/${totals.maxIters}  ${fields.join('  ')}  ETA ${formatDuration(Math.ceil(left))}`,
          );
        }
      } else if (event.type === 'evaluation') {
        const mark = event.best ? stderrColors.green(' best') : '';
        notice(
          `${stderrColors.bold(`step ${formatNumber(event.step)}`)}  train ${event.trainLoss.toFixed(4)}  val ${event.validationLoss.toFixed(4)}${mark}`,
        );
      }
    },
    refitted: (maxIters: number): void => {
      totals = { ...totals, maxIters };
      bar?.setTotal(maxIters);
    },
    sample: (text: string): void => {
      for (const line of fold(printable(text), (process.stderr.columns ?? 100) - 5))
        notice(stderrColors.dim(`  │ ${line}`));
    },
    end: (): void => {
      bar?.stop();
    },
  };

  /** Off a terminal: the first steps, then a line every few seconds, so that a log stays short. */
  function isTimeForLine(step: number): boolean {
    if (step > 1 && performance.now() - totals.printed < 5000) return false;
    totals.printed = performance.now();
    return true;
  }
}

/** A folder without the slash a shell's completion adds. */
const shown = (folder: string): string => folder.replace(/(?<=.)\/+$/, '');

/** Lines of at most `width` characters. */
const fold = (text: string, width: number): string[] =>
  text.split('\n').flatMap((line) => line.match(new RegExp(`.{1,${Math.max(width, 20)}}`, 'gu')) ?? ['']);

function printPlan({ settings, corpus, tokens, tokenizer, config, ...plan }: TrainPlan): void {
  const files = corpus.files.length === 1 ? corpus.files[0] : `${corpus.files.length} files`;
  notice(
    formatTable([
      [
        'corpus',
        `${printable(files === '-' ? 'stdin' : files)}, ${formatBytes(corpus.bytes)}${corpus.characters === undefined ? '' : `, ${formatNumber(corpus.characters)} characters`}`,
      ],
      ['tokens', `${formatNumber(tokens.train)} to train on, ${formatNumber(tokens.validation)} to validate`],
      [
        'vocabulary',
        `${describeVocabulary(tokenizer)}${tokens.unknown > 0 ? `, which ${formatNumber(tokens.unknown)} tokens are` : ''}`,
      ],
      ['model', describeModel({ ...plan, settings, config })],
      ['training', describeTraining({ ...plan, settings, steps: settings.maxIters })],
      ...(plan.expectedSeconds === undefined
        ? []
        : [['time', `about ${formatDuration(Math.round(plan.expectedSeconds))}`] as const]),
      ['memory', formatBytes(plan.memoryBytes)],
      ['engine', plan.backend],
      ['folder', printable(shown(plan.folder))],
    ]),
  );
  warnOfSlowEngine(plan.backend, plan.rejected);
  if (plan.startStep > 0) {
    notice(`Going on from step ${formatNumber(plan.startStep)}.`);
    if (settings.maxIters > settings.lrDecayIters && settings.schedule !== 'constant')
      notice(
        `The learning rate stays at ${settings.minLr} from step ${formatNumber(settings.lrDecayIters)} on, where its decay ends.`,
      );
  }
  if (process.platform === 'linux' && plan.memoryBytes > process.availableMemory())
    warn(`only ${formatBytes(process.availableMemory())} of memory are free: it may become very slow`);
  if (corpus.crlf) warn('the text has Windows line ends (\\r\\n); they are kept, as tokens of their own');
  if (tokens.validation === 0) warn('there is no validation text; the training text judges the model');
  notice();
}
