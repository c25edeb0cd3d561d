/** The worker behind the page: it trains, writes and reports with the program itself, on files in memory. */
import { zipSync } from 'fflate';
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
import { filesOf, folderForRun, keepOnly, storeText } from './files.ts';
import type { Answer, Prompt, Request, RunSummary } from './messages.ts';

/** Of the run that can be written with. */
let folder: string | undefined;
let runs = 0;

const post = (answer: Answer, transfer: Transferable[] = []): void => self.postMessage(answer, { transfer });

let isStopped = false;
let isWritingStopped = false;

async function train({ name, text, options, device }: Request & { type: 'train' }): Promise<void> {
  isStopped = false;
  isWritingStopped = true;
  await chooseDevice(device);
  const number = ++runs;
  const outDir = folderForRun(number);
  const corpus = storeText(name, text);
  const report = (what: string, done?: number): void => post({ type: 'working', what, done });
  const { progress, validationLoss, reason, examplePrompt } = await trainModel(
    { ...options, corpus: [corpus], outDir },
    {
      preparing: report,
      measuring: () => report('measuring this computer'),
      working: report,
      start: (run) => {
        folder = outDir;
        keepOnly(number, corpus);
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

const summaryOf = ({ config, tokens, backend }: RunDescription): RunSummary => ({
  parameters: countParameters(config),
  tokens: tokens.train,
  vocabulary: config.vocabSize,
  engine: backend,
  layers: config.nLayer,
  heads: config.nHead,
  channels: config.nEmbd,
  blockSize: config.blockSize,
});

async function write({ prompt, temperature, maxTokens }: Prompt, run: number): Promise<void> {
  isWritingStopped = false;
  const model = await load(folder);
  try {
    for await (const text of sample(model, prompt, { temperature, maxTokens, unk: 'skip' })) {
      if (isWritingStopped) break;
      post({ type: 'text', text, run });
    }
  } finally {
    await model.close();
  }
  post({ type: 'written', run });
}

async function lookInside(run: number): Promise<void> {
  const engine = await createWasmBackend({ threads: 1 });
  try {
    const page = await reportOfRun(readRun(folder!), engine, { unk: 'replace' });
    post({ type: 'report', page, run });
  } finally {
    await engine.close();
  }
}

function download(name: string): void {
  const bytes = zipSync(filesOf(folder!, name), { level: 1 }); // weights hardly become smaller
  post({ type: 'archive', name: `${name}.zip`, bytes }, [bytes.buffer]);
}

async function handle(request: Request): Promise<void> {
  switch (request.type) {
    case 'train':
      return train(request);
    case 'stop':
      isStopped = true;
      return;
    case 'write':
      return write(request.prompt, request.run);
    case 'stop writing':
      isWritingStopped = true;
      return;
    case 'look inside':
      return lookInside(request.run);
    case 'download':
      return download('gpt');
  }
}

/** Leaves the terms as they are for the page, which knows its labels. */
const marked: Terms = { option: optionName, values: optionValues, train: trainCall };

self.addEventListener('message', ({ data }: MessageEvent<Request>) => {
  handle(data).catch((error: unknown) => {
    if (error instanceof UserError) return post({ type: 'failed', during: data.type, ...error.in(marked) });
    post({ type: 'failed', during: data.type, message: String(error), hint: undefined });
    throw error; // a fault of the program: its stack goes to the console
  });
});
