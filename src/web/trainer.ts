/** The worker behind the page: it runs the program's own training, sampling and reports on files in memory. */
import { zipSync } from 'fflate';
import { isTokenFilePath } from '../data/token-file.ts';
import { chooseDevice } from '../engine/device-choice.ts';
import { createWasmBackend } from '../engine/wasm.ts';
import { UserError } from '../errors.ts';
import { readRun } from '../inspect/run-record.ts';
import { load } from '../library/model.ts';
import { sample } from '../library/sample.ts';
import { optionName, optionValues, trainCall, type Terms } from '../messages.ts';
import { countParameters } from '../model/parameters.ts';
import { reportOfRun } from '../report/report-of-run.ts';
import type { TrainEvent } from '../train/events.ts';
import type { RunDescription } from '../train/train-handlers.ts';
import type { Settings } from '../train/settings.ts';
import { trainModel } from '../train/train-model.ts';
import { archiveOf, folderFor, storeTexts } from './files.ts';
import type { Answer, Prompt, Request, RunSummary } from './messages.ts';

/** The folder of the run and its texts, once it has begun. */
let folder: string | undefined;
let corpus: readonly string[] = [];

const post = (answer: Answer, transfer: Transferable[] = []): void => self.postMessage(answer, { transfer });

let isStopped = false;
let isWritingStopped = false;

async function train({ texts, options, device }: Request & { type: 'train' }): Promise<void> {
  await chooseDevice(device);
  corpus = storeTexts(texts);
  const outDir = folderFor(corpus);
  const { tokenizer: _, ...withoutTokenizer } = options;
  const given = isTokenFilePath(corpus[0]) ? withoutTokenizer : options; // a token file has its own
  const report = (what: string, done?: number): void => post({ type: 'working', what, done });
  const { progress, validationLoss, reason, examplePrompt } = await trainModel(
    { ...given, corpus, outDir },
    {
      preparing: report,
      measuring: () => post({ type: 'measuring' }),
      working: report,
      start: (run) => {
        folder = outDir;
        post({ type: 'start', run: summaryOf(run) });
      },
      event: showEvent,
      sample: (drawn, step) => post({ type: 'sample', text: drawn, step }),
      interrupted: () => isStopped,
    },
  );
  post({
    type: 'trained',
    step: progress.step,
    validationLoss,
    isInterrupted: reason === 'interrupted',
    examplePrompt,
  });
}

function showEvent(event: TrainEvent, { maxIters }: Settings): void {
  if (event.type === 'step') {
    const { type, step, loss } = event;
    post({ type, step, loss, steps: maxIters });
  } else if (event.type === 'evaluation') {
    const { type, step, trainLoss, validationLoss } = event;
    post({ type, step, trainLoss, validationLoss });
  }
}

const summaryOf = ({ config, tokens, backend, settings, ...run }: RunDescription): RunSummary => ({
  folder: run.folder,
  parameters: countParameters(config),
  tokens: tokens.train,
  vocabulary: config.vocabSize,
  engine: backend,
  layers: config.nLayer,
  heads: config.nHead,
  channels: config.nEmbd,
  blockSize: config.blockSize,
  steps: settings.maxIters,
  epochs: run.epochs,
  expectedSeconds: run.expectedSeconds,
  isLimitedByText: run.isLimitedByText,
});

async function write({ prompt, temperature, maxTokens }: Prompt): Promise<void> {
  isWritingStopped = false;
  const model = await load(folder);
  try {
    for await (const text of sample(model, prompt, { temperature, maxTokens, unk: 'skip' })) {
      if (isWritingStopped) break;
      post({ type: 'text', text });
    }
  } finally {
    await model.close();
  }
  post({ type: 'written' });
}

async function lookInside(): Promise<void> {
  const engine = await createWasmBackend({ threads: 1 });
  try {
    const page = await reportOfRun(readRun(folder!), engine, { unk: 'replace' });
    post({ type: 'report', page });
  } finally {
    await engine.close();
  }
}

function download(): void {
  const bytes = zipSync(archiveOf(folder!, corpus), { level: 1 }); // weights hardly compress
  post({ type: 'archive', name: `${folder!}.zip`, bytes }, [bytes.buffer]);
}

async function handle(request: Request): Promise<void> {
  switch (request.type) {
    case 'train':
      return train(request);
    case 'stop':
      isStopped = true;
      return;
    case 'write':
      return write(request.prompt);
    case 'stop writing':
      isWritingStopped = true;
      return;
    case 'look inside':
      return lookInside();
    case 'download':
      return download();
  }
}

/** Leaves the terms marked for the page, which knows its labels. */
const marked: Terms = { option: optionName, values: optionValues, train: trainCall };

self.addEventListener('message', ({ data }: MessageEvent<Request>) => {
  handle(data).catch((error: unknown) => {
    const during = data.type;
    if (error instanceof UserError)
      return post({ type: 'failed', during, code: error.code, ...error.in(marked) });
    post({ type: 'failed', during, code: undefined, message: String(error), hint: undefined });
    throw error; // a bug: its stack goes to the console
  });
});
