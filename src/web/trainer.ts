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
import { trainModel } from '../train/train-model.ts';
import { filesOf, makeRoom, storeText } from './files.ts';
import type { Answer, Prompt, Request, RunSummary } from './messages.ts';

/** The folder of the run; each run replaces the one before. */
const RUN = 'run';

const tell = (answer: Answer, transfer: Transferable[] = []): void => self.postMessage(answer, { transfer });

let isStopped = false;
let isWritingStopped = false;

async function train({ name, text, options, device }: Request & { type: 'train' }): Promise<void> {
  isStopped = false;
  await chooseDevice(device);
  makeRoom();
  const corpus = storeText(name, text);
  const report = (what: string, done?: number): void => tell({ type: 'working', what, done });
  const { progress, validationLoss, reason, examplePrompt } = await trainModel(
    { ...options, corpus: [corpus], outDir: RUN, overwrite: true },
    {
      preparing: report,
      measuring: () => report('measuring this computer'),
      working: report,
      start: (run) => tell({ type: 'start', run: summaryOf(run) }),
      event: showEvent,
      sample: (drawn, step) => tell({ type: 'sample', text: drawn, step }),
      interrupted: () => isStopped,
    },
  );
  tell({
    type: 'trained',
    step: progress.step,
    validationLoss,
    isInterrupted: reason === 'interrupted',
    examplePrompt,
  });
}

function showEvent(event: TrainEvent): void {
  if (event.type === 'step') {
    const { type, step, loss } = event;
    tell({ type, step, loss });
  } else if (event.type === 'evaluation') {
    const { type, step, trainLoss, validationLoss } = event;
    tell({ type, step, trainLoss, validationLoss });
  }
}

const summaryOf = ({ settings, config, tokens, tokenizer, ...run }: RunDescription): RunSummary => ({
  parameters: countParameters(config),
  tokens,
  vocabulary: config.vocabSize,
  tokenizer: tokenizer.kind,
  steps: settings.maxIters,
  engine: run.backend,
  memoryBytes: run.memoryBytes,
  uniformLoss: run.uniformLoss,
  expectedSeconds: run.expectedSeconds,
  layers: config.nLayer,
  heads: config.nHead,
  channels: config.nEmbd,
  blockSize: config.blockSize,
});

async function write({ prompt, temperature, maxTokens }: Prompt): Promise<void> {
  isWritingStopped = false;
  const model = await load(RUN);
  try {
    for await (const text of sample(model, prompt, { temperature, maxTokens, unk: 'skip' })) {
      tell({ type: 'text', text });
      if (isWritingStopped) break;
    }
  } finally {
    await model.close();
  }
  tell({ type: 'written' });
}

async function lookInside(): Promise<void> {
  const run = readRun(RUN);
  const engine = await createWasmBackend({ threads: 1 });
  try {
    tell({ type: 'report', page: await reportOfRun(run, engine, { unk: 'replace' }) });
  } finally {
    await engine.close();
  }
}

function download(name: string): void {
  const bytes = zipSync(filesOf(RUN, name), { level: 1 }); // weights hardly become smaller
  tell({ type: 'archive', name: `${name}.zip`, bytes }, [bytes.buffer]);
}

async function obey(request: Request): Promise<void> {
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
      return download('gpt');
  }
}

/** Leaves the terms as they are for the page, which knows its labels. */
const marked: Terms = { option: optionName, values: optionValues, train: trainCall };

self.addEventListener('message', ({ data }: MessageEvent<Request>) => {
  obey(data).catch((error: unknown) => {
    if (error instanceof UserError) return tell({ type: 'failed', during: data.type, ...error.in(marked) });
    tell({ type: 'failed', during: data.type, message: String(error), hint: undefined });
    throw error; // a fault of the program: its stack goes to the console
  });
});
