import { createRun, type Run } from '../../checkpoint/run.ts';
import { makeRunFolder } from '../../checkpoint/runs.ts';
import { singleRank } from '../../collective/single-rank.ts';
import { targetCount } from '../../data/token-source.ts';
import type { ChosenBackend } from '../../engine/backend.ts';
import { noReport } from '../../reporting.ts';
import type { EventSink, RunEnd } from '../events.ts';
import { train, type LoopData } from '../loop.ts';
import { forgetOldText, remeasureBest, textChange } from '../new-text.ts';
import type { Progress } from '../progress.ts';
import { trainerOptions, type TrainModelOptions } from '../settings.ts';
import type { TrainHandlers } from '../train-handlers.ts';
import { Leader } from '../ranks/leader.ts';
import { RankedWork } from '../ranks/ranked-work.ts';
import { replicaOptions } from '../replicas/replica-options.ts';
import { ReplicatedWork } from '../replicas/replicated-work.ts';
import { localWork, type StepWork } from '../step-work.ts';
import { Trainer } from '../trainer.ts';
import { BestModel } from './best-model.ts';
import { checkpointWriter } from './checkpoint-writer.ts';
import { describeRun } from './describe-run.ts';
import { divergenceError } from './divergence-error.ts';
import { buildOf } from './kernel-build.ts';
import { loopData } from './loop-data.ts';
import type { PreparedRun } from './prepare-run.ts';
import { metricsLog } from './metrics-log.ts';
import { preview } from './preview.ts';
import { restore, start } from './restore.ts';
import { localClock, type RunClock } from './run-clock.ts';
import { runLog } from './run-log.ts';
import { stepProfile, type StepProfile, type TrainProfile } from './step-profile.ts';
import { tensorboardLog } from './tensorboard-log.ts';
import { TimeBudget, wholePerSample } from './time-budget.ts';

/** A run in training: the prepared run, its trainer and its folder. */
interface Session {
  readonly prepared: PreparedRun;
  readonly handlers: TrainHandlers;
  readonly chosen: ChosenBackend;
  readonly trainer: Trainer;
  readonly work: StepWork;
  readonly run: Run;
  readonly best: BestModel;
  readonly clock: RunClock;
}

export interface SessionEnd {
  readonly folder: string;
  readonly end: RunEnd;
  readonly profile: TrainProfile | undefined;
}

/**
 * Trains a prepared run to its end.
 *
 * @param given the options of this invocation
 * @param asked time of the request, in milliseconds of `performance.now()`
 * @throws UserError if training diverges or its result cannot be saved
 */
export async function trainSession(
  prepared: PreparedRun,
  chosen: ChosenBackend,
  given: TrainModelOptions,
  handlers: TrainHandlers,
  asked: number,
  leader?: Leader,
): Promise<SessionEnd> {
  const { origin, programs, settings } = prepared;
  const trainer = new Trainer(chosen.backend, programs, trainerOptions(settings), settings.seed);
  const stored =
    origin.resumed === undefined
      ? start(trainer, origin.start, prepared.data.growth, handlers.preparing)
      : restore(trainer, origin.resumed.checkpoint, handlers.preparing);
  const work = await shareWork(prepared, chosen, trainer, leader);
  const run = openRun(prepared, given);
  try {
    await work.stateReplaced(origin.resumed?.checkpoint);
    handlers.start?.(describeRun(prepared, run, chosen, leader?.ranks.hosts));
    const clock = localClock(handlers.interrupted, timeBudget(prepared, asked));
    const best = new BestModel(run, trainer, handlers.working);
    const session = { prepared, handlers, chosen, trainer, work, run, best, clock };
    const profile = given.profile === true ? stepProfile(trainer, prepared.tokensPerStep) : undefined;
    const end = await trainFrom(stored, session, profile);
    if (end.cause !== undefined) throw divergenceError(run.folder, end.progress, end.cause, settings);
    return { folder: run.folder, end, profile: await profile?.profile() };
  } finally {
    run.close();
  }
}

/** The work of this process, shared with the other ranks if there are any. @throws UserError if one cannot take part */
function shareWork(
  { settings, shape, programs }: PreparedRun,
  { backend, rejected }: ChosenBackend,
  trainer: Trainer,
  leader: Leader | undefined,
): StepWork | Promise<StepWork> {
  const replicas = replicaOptions(settings);
  if (leader === undefined && replicas === undefined) return localWork(trainer);
  const { frozenStorage, ranks: _ranks, replicas: _replicas, ...planned } = shape;
  const frozen =
    frozenStorage &&
    Object.fromEntries(
      programs.model.block.parameters
        .filter(({ parameter }) => !parameter.isTrained)
        .map(({ parameter, storage }) => [parameter.name, storage]),
    );
  const options = trainerOptions(settings);
  const { seed, reduceDtype } = settings;
  const isLacking = rejected.some(({ what }) => what === settings.matmulPrecision);
  const computing = {
    matmulPrecision: isLacking ? 'float32' : settings.matmulPrecision,
    isOnGpu: backend.name.startsWith('webgpu'),
  } as const;
  const setUp = { shape: planned, frozen, options, seed, reduceDtype, ...computing };
  const leading = leader ?? new Leader(singleRank());
  return replicas === undefined
    ? RankedWork.start(leading, backend, trainer, setUp)
    : ReplicatedWork.start(leading, backend, trainer, setUp, replicas);
}

/** Opens the resumed run, or creates the folder of a new one. */
function openRun(
  { origin, config, data }: PreparedRun,
  { outDir, corpus, overwrite }: TrainModelOptions,
): Run {
  if (origin.resumed !== undefined) return origin.resumed.continue(config);
  const folder = outDir ?? makeRunFolder(corpus[0]);
  return createRun(folder, config, data.tokenizer, { overwrite: overwrite === true });
}

function timeBudget({ time, settings, data }: PreparedRun, asked: number): TimeBudget | undefined {
  if (time === undefined) return undefined;
  const tokens = { train: data.train.length, validation: data.validation.length };
  return new TimeBudget({
    asked,
    seconds: time.seconds,
    expected: time.costs,
    maxSteps: time.maxSteps,
    wholePerSample: wholePerSample(settings, tokens),
  });
}

async function trainFrom(
  stored: Progress,
  session: Session,
  profile: StepProfile | undefined,
): Promise<RunEnd> {
  const { prepared, handlers, chosen, trainer, work, run, best, clock } = session;
  const { origin, data, programs, settings, config, shape, tokensPerStep } = prepared;
  const report = handlers.working ?? noReport;
  const log = metricsLog(run);
  const source = {
    run,
    log,
    trainer,
    work,
    best,
    data,
    config,
    engine: buildOf(chosen.backend.name),
    ranks: shape.ranks?.size ?? 1,
    start: origin.resumed?.checkpoint.state ?? { step: 0 },
    report,
  };
  const writer = checkpointWriter(source, handlers.notSaved ?? (() => {}));
  const sinks: EventSink[] = [runLog(run, log, settings, tokensPerStep), writer];
  if (settings.log === 'tensorboard') sinks.push(tensorboardLog(run.folder, stored.step, tokensPerStep));
  if (profile !== undefined) sinks.push(profile.sink);
  const { event: handle } = handlers;
  if (handle !== undefined) sinks.push(async (event, current) => void (await handle(event, current)));
  if (handlers.sample !== undefined)
    sinks.push(preview({ run, backend: chosen.backend, programs, data, poll: clock.poll }, handlers.sample));

  // A rollback before the next checkpoint returns to the starting model, whose folder may be gone by then.
  if (origin.resumed === undefined && origin.start !== undefined)
    await writer({ type: 'checkpoint', progress: stored }, settings);
  const batches = loopData(data, settings, data.endId);
  const validationTargets = targetCount(data.validation);
  const progress = await forNewText(stored, batches, session);
  return train(
    {
      trainer,
      work,
      data: batches,
      sinks,
      clock,
      restore: (step) => rollBack(step, session),
      loadBest: () => best.load(),
      evaluated: (tokens, what) =>
        what === 'sample'
          ? report('evaluating')
          : report('evaluating the whole validation split', tokens / validationTargets),
      inspect: handlers.inspect,
    },
    settings,
    progress,
  );
}

/** The progress to continue with. On a new text the best model is evaluated again; an interruption leaves everything unchanged. */
async function forNewText(
  stored: Progress,
  batches: LoopData,
  { prepared: { origin, change }, trainer, work, best, clock }: Session,
): Promise<Progress> {
  if (origin.resumed === undefined || change === undefined) return stored;
  const progress = await remeasureBest(trainer, stored, change, {
    best,
    validationSample: batches.validationSample(),
    poll: clock.poll,
  });
  restore(trainer, origin.resumed.checkpoint);
  await work.stateReplaced(origin.resumed.checkpoint);
  return progress ?? stored;
}

/** Restores the last checkpoint up to a step, without its losses if they were measured on an earlier text. */
async function rollBack(step: number, session: Session): Promise<Progress> {
  const { run, trainer, work, prepared } = session;
  const { origin, data, settings } = prepared;
  const checkpoint = run.rollBack(step);
  const progress =
    checkpoint === undefined
      ? start(trainer, origin.resumed === undefined ? origin.start : undefined, data.growth)
      : restore(trainer, checkpoint);
  await work.stateReplaced(checkpoint);
  const change = checkpoint && textChange(checkpoint.state, data, settings);
  return change === undefined ? progress : forgetOldText(progress, change, progress.bestLoss);
}
