/** What a training run tells its caller, and asks it. */
import type { Replacements } from '../data/replacements.ts';
import type { Rejection } from '../engine/wasm.ts';
import type { ModelConfig } from '../model/config.ts';
import type { Report } from '../reporting.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { Caution } from './cautions.ts';
import type { TrainEvent } from './events.ts';
import type { InspectStep } from './loop.ts';
import type { TextChange } from './new-text.ts';
import type { SaveFailure } from './session/checkpoint-writer.ts';
import type { Settings } from './settings.ts';
import type { CorpusDescription } from './training-data.ts';

/** What is known about a run before step 0. */
export interface RunDescription {
  readonly settings: Settings;
  /** Where the run is written. */
  readonly folder: string;
  readonly corpus: CorpusDescription;
  /** The text of --val-file, if there is one. */
  readonly validationCorpus: CorpusDescription | undefined;
  readonly tokens: { readonly train: number; readonly validation: number; readonly unknown: number };
  /** Of the corpus and of the validation file; none of a token file. */
  readonly replacements: readonly Replacements[];
  readonly tokenizer: Tokenizer;
  readonly config: ModelConfig;
  /** Whether a run is resumed, which keeps most of its options. */
  readonly isResumed: boolean;
  /** Steps done before; 0 for a new run. */
  readonly startStep: number;
  /** The length of the run before it was resumed, in steps: less than that of `settings` if it is extended now. */
  readonly plannedIters: number;
  readonly parameters: number;
  readonly memoryBytes: number;
  readonly tokensPerStep: number;
  readonly epochs: number;
  /** How long the run is expected to take, in seconds; undefined if it is too short for measuring that to be worthwhile. */
  readonly expectedSeconds: number | undefined;
  /** The engine that runs it: 'wasm revectorize, 2 threads'. */
  readonly backend: string;
  /** The kernels that computed a resumed run so far, if those of `backend` round differently. */
  readonly otherEngine: string | undefined;
  /** Options given now that have no effect, or not the usual one. */
  readonly cautions: readonly Caution[];
  /** How the text differs from the one a resumed run was trained on so far; see new-text.ts. */
  readonly textChange: TextChange | undefined;
  /** Files of a resumed run that were missing or damaged, and what became of them. */
  readonly repairs: readonly string[];
  /** Faster engines that do not work here, and why. */
  readonly rejected: readonly Rejection[];
  /** Why fewer threads have started than were asked for. */
  readonly shortfall: string | undefined;
  /** The loss of a uniform distribution over the vocabulary: ln V nats per token. */
  readonly uniformLoss: number;
}

export interface TrainHandlers {
  /**
   * When the run was asked for, in milliseconds of `performance.now()`: the time of `minutes` starts there. Default: when
   * `trainModel` is called.
   */
  readonly asked?: number;
  /** The progress of work before the run begins: reading and tokenizing the text, initializing or loading parameters. */
  readonly preparing?: Report;
  /** The speed of this machine is about to be measured, which takes a second or more. */
  readonly measuring?: () => void;
  /** Called once, before step 0. */
  readonly start?: (run: RunDescription) => void;
  /** Each event of the run, after what it calls for was saved. */
  readonly event?: (event: TrainEvent, settings: Settings) => void;
  /** A text sampled from the model after an evaluation. */
  readonly sample?: (text: string, step: number) => void;
  /** A checkpoint could not be written; training continues. */
  readonly notSaved?: (failure: SaveFailure) => void;
  /** The progress of work between two steps, once the run has begun: evaluating, saving. */
  readonly working?: Report;
  /**
   * Polled during training at least every SIGNAL_POLL_SECONDS, unless a single instruction takes longer. Once it answers
   * true, a checkpoint is saved and the run ends. An unfinished step or evaluation is discarded, and repeated on resuming.
   */
  readonly interrupted?: () => boolean | Promise<boolean>;
  /** For tests that inject faults. */
  readonly inspect?: InspectStep;
}
