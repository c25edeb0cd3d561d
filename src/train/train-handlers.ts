/** Callbacks of a training run. */
import type { Replacements } from '../data/replacements.ts';
import type { Split } from '../data/token-source.ts';
import type { Rejection } from '../engine/rejection.ts';
import type { ModelConfig } from '../model/config.ts';
import type { Report } from '../reporting.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { Caution } from './cautions.ts';
import type { TrainEvent } from './events.ts';
import type { Growth } from './grow-vocabulary.ts';
import type { InspectStep } from './loop.ts';
import type { TextChange } from './new-text.ts';
import type { SaveFailure } from './session/checkpoint-writer.ts';
import type { Settings } from './settings.ts';
import type { CorpusDescription } from './tokenized-corpus.ts';
import type { TokenCounts } from './training-data.ts';

/** Description of a run before step 0. */
export interface RunDescription {
  readonly settings: Settings;
  /** The folder of the run. */
  readonly folder: string;
  readonly corpus: CorpusDescription;
  /** The text of the validation file, if given. */
  readonly validationCorpus: CorpusDescription | undefined;
  readonly tokens: TokenCounts;
  /** The tokens of both splits, which can be read until the run has ended: until `trainModel` returns. */
  readonly split: Split;
  /** The token that ends documents, of a text that is divided into them. */
  readonly documentEnd: number | undefined;
  /** For the corpus and the validation file; none for a token file. */
  readonly replacements: readonly Replacements[];
  readonly tokenizer: Tokenizer;
  /** The tokens that the starting model did not have. */
  readonly growth?: Growth | undefined;
  readonly config: ModelConfig;
  /** A resumed run keeps most of its options. */
  readonly isResumed: boolean;
  /** Steps done in earlier invocations; 0 for a new run. */
  readonly startStep: number;
  /** Planned steps before this invocation: fewer than in `settings` if the run is being extended. */
  readonly plannedIters: number;
  readonly parameters: number;
  /** Those that training changes: with adapters, far fewer. */
  readonly trainedParameters: number;
  readonly memoryBytes: number;
  readonly tokensPerStep: number;
  readonly epochs: number;
  /** Expected time of the run, in seconds; undefined if it is too short for a measurement to pay off. */
  readonly expectedSeconds: number | undefined;
  /** Seconds it took to find the faster device, with `auto`; they are part of a time limit. */
  readonly decisionSeconds: number;
  /** The model's size and dropout were chosen for text and time, not given. */
  readonly isModelChosen: boolean;
  /** A time limit ends the run: its number of steps is an estimate, which is corrected on the way. */
  readonly isLimitedByTime: boolean;
  /** The run has a time limit, and ends before it, after MAX_EPOCHS: the text is short. */
  readonly isLimitedByText: boolean;
  /** The backend, such as 'wasm revectorize, 2 threads'. */
  readonly backend: string;
  /** The hosts of the ranks that share the run, by rank; undefined: this process alone. */
  readonly hosts: readonly string[] | undefined;
  /** The build of the kernels used so far by a resumed run, if that of `backend` rounds differently. */
  readonly otherEngine: string | undefined;
  /** The number of ranks that a resumed run used last, if gradients are rounded differently from here on. */
  readonly otherRanks: number | undefined;
  /** Options given in this invocation that have no effect or an unusual one. */
  readonly cautions: readonly Caution[];
  /** How the text differs from the one a resumed run has been trained on; see new-text.ts. */
  readonly textChange: TextChange | undefined;
  /** Files of a resumed run that were missing or damaged, and how they were repaired. */
  readonly repairs: readonly string[];
  /** Builds of the kernels that might be faster, or the other device, and why they are not used. */
  readonly rejected: readonly Rejection[];
  /** Why fewer threads than requested were started. */
  readonly shortfall: string | undefined;
  /** The loss of a uniform distribution over the vocabulary: ln V nats per token. */
  readonly uniformLoss: number;
}

export interface TrainHandlers {
  /**
   * Start of the time limit, in milliseconds of `performance.now()`. Default: the call of `trainModel`.
   */
  readonly asked?: number;
  /** Progress of the work before step 0: reading and tokenizing the text, initializing or loading parameters. */
  readonly preparing?: Report;
  /** Called before the speed of this computer is measured, which takes a second or more. */
  readonly measuring?: () => void;
  /** Called once, before step 0. */
  readonly start?: (run: RunDescription) => void;
  /** Called for each event of the run, after it has been saved. If it returns a promise, training waits for it. */
  readonly event?: (event: TrainEvent, settings: Settings) => unknown;
  /** A text sampled from the model after an evaluation. */
  readonly sample?: (text: string, step: number) => unknown;
  /** A checkpoint could not be written; training continues. */
  readonly notSaved?: (failure: SaveFailure) => void;
  /** Progress of the work between steps: evaluating, saving. */
  readonly working?: Report;
  /**
   * Polled during training at least every SIGNAL_POLL_SECONDS, unless a single instruction takes longer. Once it returns
   * true, a checkpoint is saved and the run ends. An unfinished step or evaluation is discarded, and repeated on resuming.
   */
  readonly interrupted?: () => boolean | Promise<boolean>;
  /** For tests that inject faults. */
  readonly inspect?: InspectStep;
}
