/** What the page and the worker that trains tell each other. */
import type { DeviceChoice } from '../engine/device-choice.ts';
import type { TrainModelOptions } from '../train/settings.ts';

/** Options of a run, but for its text and its folder. */
export type RunOptions = Omit<TrainModelOptions, 'corpus' | 'outDir' | 'overwrite' | 'resume'>;

export interface Prompt {
  readonly prompt: string;
  readonly temperature: number;
  readonly maxTokens: number;
}

/** `run` counts the trainings of a page: answers about an earlier one come too late. */
export type Request =
  | {
      readonly type: 'train';
      readonly name: string;
      readonly text: Uint8Array;
      readonly options: RunOptions;
      readonly device: DeviceChoice;
    }
  /** Save and end. */
  | { readonly type: 'stop' }
  | { readonly type: 'write'; readonly prompt: Prompt; readonly run: number }
  | { readonly type: 'stop writing' }
  | { readonly type: 'look inside'; readonly run: number }
  | { readonly type: 'download' };

/** A run before its first step, as the page shows it. */
export interface RunSummary {
  readonly parameters: number;
  /** To train on. */
  readonly tokens: number;
  readonly vocabulary: number;
  readonly engine: string;
  readonly layers: number;
  readonly heads: number;
  readonly channels: number;
  readonly blockSize: number;
}

export type Answer =
  | { readonly type: 'working'; readonly what: string; readonly done: number | undefined }
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
  | { readonly type: 'text'; readonly text: string; readonly run: number }
  | { readonly type: 'written'; readonly run: number }
  | { readonly type: 'report'; readonly page: string; readonly run: number }
  | { readonly type: 'archive'; readonly name: string; readonly bytes: Uint8Array<ArrayBuffer> }
  /** Option names in message and hint are marked, see ../messages.ts. */
  | {
      readonly type: 'failed';
      readonly during: Request['type'];
      readonly message: string;
      readonly hint: string | undefined;
    };
