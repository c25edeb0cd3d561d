/** A whole training run, from text files to a model folder: what `gpt train` does, without a terminal. */
import type { Communicator } from '../collective/communicator.ts';
import { resumeRun } from '../checkpoint/run.ts';
import { resolveRun } from '../checkpoint/runs.ts';
import { lazyBackend } from '../engine/backend.ts';
import { defaultThreads } from '../engine/wasm.ts';
import { UsageError } from '../errors.ts';
import { optionName } from '../messages.ts';
import type { EndReason } from './events.ts';
import { examplePrompt } from './example-prompt.ts';
import type { Progress } from './progress.ts';
import { Leader } from './ranks/leader.ts';
import { originOf, readRunText } from './session/origin.ts';
import { prepareRun } from './session/prepare-run.ts';
import type { TrainProfile } from './session/step-profile.ts';
import { trainSession } from './session/train-session.ts';
import { withCanonicalEncoding, type TrainModelOptions } from './settings.ts';
import type { TrainHandlers } from './train-handlers.ts';

export interface TrainResult {
  readonly folder: string;
  readonly reason: EndReason;
  readonly progress: Progress;
  /** Of the best model, over the whole validation split, in nats per token; undefined without such a split. */
  readonly validationLoss: number | undefined;
  /** A few words of the text as an example prompt; undefined if none are in the vocabulary. */
  readonly examplePrompt: string | undefined;
  /** Time per kernel, if TrainModelOptions.profile is set. */
  readonly profile: TrainProfile | undefined;
}

/**
 * Trains a model on text and saves it in a model folder.
 *
 * @param ranks processes that share the work; this one is rank 0, and the others `follow` (ranks/follow.ts). The caller closes
 * the communicator; if training fails, the others still wait, and only `abort` ends them.
 * @throws UserError, UsageError for what the user can fix: a missing text, conflicting options, a folder in use; UserError
 * if training diverges or its result cannot be saved
 */
export async function trainModel(
  given: TrainModelOptions,
  handlers: TrainHandlers = {},
  ranks?: Communicator,
): Promise<TrainResult> {
  const leader = ranks && new Leader(ranks);
  try {
    const result = await trainWith(given, handlers, leader);
    await leader?.end();
    return result;
  } finally {
    leader?.stop();
  }
}

async function trainWith(
  given: TrainModelOptions,
  handlers: TrainHandlers,
  leader: Leader | undefined,
): Promise<TrainResult> {
  const { asked = performance.now() } = handlers;
  const options = withCanonicalEncoding(given);
  checkFolderOptions(options);
  const resumed =
    options.resume === undefined ? undefined : resumeRun(resolveRun(options.resume), { base: options.base });
  const engine = lazyBackend({
    threads: options.threads ?? defaultThreads(),
    profile: options.profile === true,
  });
  try {
    const origin = originOf(options, resumed);
    const data = readRunText(origin, options.corpus.length > 0, handlers.preparing);
    try {
      const ranks = leader?.ranks;
      const prepared = await prepareRun(origin, data, { given: options, handlers, engine, asked, ranks });
      const session = await trainSession(prepared, await engine.open(), options, handlers, asked, leader);
      const { train, validation, tokenizer } = data;
      return {
        folder: session.folder,
        reason: session.end.reason,
        progress: session.end.progress,
        validationLoss: session.end.validationLoss,
        examplePrompt: examplePrompt(validation.length > 0 ? validation : train, tokenizer),
        profile: session.profile,
      };
    } finally {
      data.close();
    }
  } finally {
    resumed?.close();
    await engine.close();
  }
}

/** @throws UsageError for options that `resume` excludes: another folder, or replacing the run */
function checkFolderOptions({ resume, outDir, overwrite }: TrainModelOptions): void {
  if (resume === undefined || (outDir === undefined && overwrite !== true)) return;
  const other = optionName(outDir === undefined ? 'overwrite' : 'outDir');
  throw new UsageError('conflicting-options', `${other} cannot be combined with ${optionName('resume')}`, {
    hint: 'a run is resumed in its own folder; to keep its current state, resume a copy',
  });
}
