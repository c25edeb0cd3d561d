/**
 * The lines of `gpt train --json=events`: an object for each event, as it happens. Fields have the names of metrics.jsonl; see
 * docs/pipelines.md.
 */
import { evaluationFields } from '../../checkpoint/logs.ts';
import type { TrainEvent } from '../../train/events.ts';
import { tokensBefore } from '../../train/sequences.ts';
import type { Settings } from '../../train/settings.ts';
import type { RunDescription, TrainHandlers } from '../../train/train-handlers.ts';
import { describeSystemError } from '../errors.ts';
import { ranksByHost } from '../ranks-by-host.ts';
import { printJson } from '../json-output.ts';
import { onNoReader } from '../terminal.ts';

type Fields = Readonly<Record<string, unknown>>;

export interface EventStream {
  /** The handlers, with each event printed after it has been handled. Training waits for a slow reader. */
  following(handlers: TrainHandlers): TrainHandlers;
  /** The reader has closed the pipe, which interrupts training. */
  readonly isAbandoned: boolean;
  /** @param result what plain `--json` prints */
  end(result: Fields & { readonly reason: string }): Promise<void>;
}

export function createEventStream(): EventStream {
  const emit = (event: string, fields: Fields): Promise<void> =>
    printJson({ event, time: new Date().toISOString(), ...fields });
  /** Step whose checkpoint could not be written. */
  let unsaved: number | undefined;
  let isAbandoned = false;
  onNoReader(() => (isAbandoned = true));
  return {
    get isAbandoned() {
      return isAbandoned;
    },
    following: (handlers) => ({
      ...handlers,
      interrupted: () => isAbandoned || (handlers.interrupted?.() ?? false),
      start(run) {
        handlers.start?.(run);
        void emit('start', startFields(run));
      },
      async event(event, settings) {
        await handlers.event?.(event, settings);
        const isUnsaved = event.type === 'checkpoint' && event.progress.step === unsaved;
        const found = isUnsaved ? undefined : fieldsOf(event, settings);
        if (found !== undefined) await emit(...found);
      },
      async sample(text, step) {
        await handlers.sample?.(text, step);
        await emit('sample', { step, text });
      },
      notSaved(failure) {
        handlers.notSaved?.(failure);
        const { step, savedStep, error } = failure;
        unsaved = step;
        void emit('not_saved', { step, saved_step: savedStep ?? null, error: describeSystemError(error) });
      },
    }),
    end: (result) => emit(result.reason === 'interrupted' ? 'interrupted' : 'end', result),
  };
}

/** Name and fields of an event. The end of a run is printed by `end`, when its model has been saved. */
function fieldsOf(event: TrainEvent, settings: Settings): [name: string, fields: Fields] | undefined {
  switch (event.type) {
    case 'step':
      return ['step', stepFields(event, settings)];
    case 'evaluation':
      return [
        'eval',
        { ...evaluationFields(event), best: event.best, tokens_seen: tokensBefore(event.step, settings) },
      ];
    case 'checkpoint':
      return ['checkpoint', { step: event.progress.step }];
    case 'rollback':
      return ['rollback', { step: event.from, rollback_to: event.to, ...event.cause }];
    case 'end':
      return event.cause && ['diverged', { step: event.progress.step, ...event.cause }];
    default:
      return event satisfies never;
  }
}

const startFields = (run: RunDescription): Fields => ({
  folder: run.folder,
  corpus: run.corpus.files,
  start_step: run.startStep,
  max_iters: run.settings.maxIters,
  tokens_per_step: run.tokensPerStep,
  train_tokens: run.tokens.train,
  val_tokens: run.tokens.validation,
  vocab_size: run.config.vocabSize,
  parameters: run.parameters,
  trained_parameters: run.trainedParameters,
  memory_bytes: run.memoryBytes,
  expected_seconds: run.expectedSeconds ?? null,
  engine: run.backend,
  ranks: run.hosts?.length ?? 1,
  hosts: run.hosts === undefined ? null : ranksByHost(run.hosts),
});

const stepFields = (
  { step, loss, learningRate, gradNorm, skipped, seconds }: TrainEvent & { type: 'step' },
  settings: Settings,
): Fields => ({
  step,
  max_iters: settings.maxIters,
  loss,
  lr: learningRate,
  grad_norm: gradNorm,
  seconds,
  tokens_seen: tokensBefore(step, settings),
  ...(skipped !== undefined && { skipped }),
});
