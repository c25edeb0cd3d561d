/** Messages between the page and the worker that trains. */
import type { DeviceChoice } from '../engine/device-choice.ts';
import type { TrainModelOptions } from '../train/settings.ts';
import type { Failure } from './failure.ts';

/** Options of a run, except its text and its folder. */
export type RunOptions = Omit<TrainModelOptions, 'corpus' | 'outDir' | 'overwrite' | 'resume'>;

/** A text to learn from. */
export interface Text {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface Prompt {
  readonly prompt: string;
  readonly temperature: number;
  readonly maxTokens: number;
}

export type Request =
  /** Once for each worker. */
  | {
      readonly type: 'train';
      /** At least one. */
      readonly texts: readonly Text[];
      readonly options: RunOptions;
      readonly device: DeviceChoice;
    }
  /** Save and end. */
  | { readonly type: 'stop' }
  | { readonly type: 'write'; readonly prompt: Prompt }
  | { readonly type: 'stop writing' }
  | { readonly type: 'look inside' }
  | { readonly type: 'download' };

/** A run before its first step, as the page shows it. */
export interface RunSummary {
  /** Its folder, as in the archive. */
  readonly folder: string;
  readonly parameters: number;
  /** To train on. */
  readonly tokens: number;
  readonly vocabulary: number;
  readonly engine: string;
  readonly layers: number;
  readonly heads: number;
  readonly channels: number;
  readonly blockSize: number;
  readonly steps: number;
  /** Number of passes over the text. */
  readonly epochs: number;
  /** Undefined if the run is too short for a measurement to pay off. */
  readonly expectedSeconds: number | undefined;
  /** The run ends before its time limit: the text is short. */
  readonly isLimitedByText: boolean;
}

export type Answer =
  | { readonly type: 'working'; readonly what: string; readonly done: number | undefined }
  /** The speed of this computer is measured, which cannot be interrupted. */
  | { readonly type: 'measuring' }
  | { readonly type: 'start'; readonly run: RunSummary }
  /** Losses in nats per token; `steps` of the whole run, which may change in a run with a time limit. */
  | { readonly type: 'step'; readonly step: number; readonly loss: number; readonly steps: number }
  | {
      readonly type: 'evaluation';
      readonly step: number;
      readonly trainLoss: number;
      readonly validationLoss: number;
    }
  | { readonly type: 'sample'; readonly text: string; readonly step: number }
  | {
      readonly type: 'trained';
      readonly step: number;
      readonly validationLoss: number | undefined;
      readonly isInterrupted: boolean;
      readonly examplePrompt: string | undefined;
    }
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'written' }
  | { readonly type: 'report'; readonly page: string }
  | { readonly type: 'archive'; readonly name: string; readonly bytes: Uint8Array<ArrayBuffer> }
  | ({ readonly type: 'failed'; readonly during: Request['type'] } & Failure);
