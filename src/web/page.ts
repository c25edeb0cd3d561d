/** The page: it passes a text and options to the worker that trains, and shows what comes back. */
import type { DeviceChoice } from '../engine/device-choice.ts';
import type { Gpu } from '../engine/webgpu/gpu.ts';
import { inTerms, type Terms } from '../messages.ts';
import type { Answer, Request, RunOptions, RunSummary } from './messages.ts';
import { isolate } from './isolate.ts';
import { LossChart } from './loss-chart.ts';

/** An element of index.html. */
function find(id: string): HTMLElement;
function find<T extends HTMLElement>(id: string, kind: new () => T): T;
function find(id: string, kind: new () => HTMLElement = HTMLElement): HTMLElement {
  const element = document.getElementById(id);
  if (element instanceof kind) return element;
  throw new Error(`there is no ${kind.name} ${id}`);
}

const show = (id: string, isShown = true): void => void (find(id).hidden = !isShown);
const say = (id: string, text: string): void => void (find(id).textContent = text);
const number = new Intl.NumberFormat('en-US');
const compact = new Intl.NumberFormat('en-US', { notation: 'compact', maximumSignificantDigits: 3 });

const obstacle = await isolate();
const worker = new Worker('trainer.js', { type: 'module' });
const ask = (request: Request): void => worker.postMessage(request);

/** The text to learn from. */
let text: { readonly name: string; readonly bytes: Uint8Array } | undefined;
let chart: LossChart | undefined;
/** When training was asked for and when its first step began, in milliseconds; the limit in seconds. */
let asked = 0;
let started = 0;
let limit: number | undefined;
let isTraining = false;
/** The model has been trained further than what was downloaded. */
let isUnsaved = false;
/** Trainings that have begun; answers about an earlier one come too late. */
let runs = 0;
/** A report is being made, and another one should follow it. */
let isLooking = false;
let shouldLookAgain = false;

function setText(name: string, bytes: Uint8Array): void {
  text = bytes.length > 0 ? { name, bytes } : undefined;
  say('chosen', text === undefined ? 'No text yet.' : `${name}, ${number.format(bytes.length)} bytes`);
  updateButtons();
}

function updateButtons(): void {
  find('train', HTMLButtonElement).disabled = text === undefined || isTraining;
  show('stop', isTraining);
}

function readFile(file: File): void {
  find('pasted', HTMLTextAreaElement).value = '';
  receive(file.name, file.arrayBuffer());
}

function receive(name: string, content: Promise<ArrayBuffer>): void {
  content.then(
    (bytes) => setText(name, new Uint8Array(bytes)),
    (error: unknown) => say('chosen', `${name} cannot be read: ${String(error)}`),
  );
}

function chooseText(): void {
  const [input, drop] = [find('file', HTMLInputElement), find('drop')];
  input.addEventListener('change', () => {
    if (input.files?.[0] !== undefined) readFile(input.files[0]);
  });
  find('pasted', HTMLTextAreaElement).addEventListener('input', ({ target }) =>
    setText('pasted.txt', new TextEncoder().encode((target as HTMLTextAreaElement).value)),
  );
  for (const event of ['dragenter', 'dragover', 'dragleave', 'drop'] as const)
    document.addEventListener(event, (drag) => {
      if (drag.dataTransfer?.types.includes('Files') !== true) return; // text goes where it is dropped
      drag.preventDefault();
      drop.classList.toggle('over', event === 'dragenter' || event === 'dragover');
      if (event === 'drop' && drag.dataTransfer.files.length > 0) readFile(drag.dataTransfer.files[0]);
    });
  void offerGpu();
  find('example').addEventListener('click', useExample);
}

/** A text that is served with the page. */
const useExample = (): void =>
  receive(
    'moby-dick.txt',
    fetch('assets/moby-dick.txt').then((response) => response.arrayBuffer()),
  );

/** Lets a GPU be chosen if the browser has one for pages. */
async function offerGpu(): Promise<void> {
  const { gpu } = navigator as { readonly gpu?: Gpu };
  if (gpu !== undefined && (await gpu.requestAdapter()) !== null) show('devices');
}

/** Fields of the options whose names are those of the program; empty ones are omitted. */
const NUMBERS = [
  'seed',
  'maxIters',
  'nLayer',
  'nHead',
  'nEmbd',
  'blockSize',
  'batchSize',
  'learningRate',
  'threads',
] as const;

/** Tokens of the text that is sampled after each evaluation. */
const SAMPLE = 200;

function optionsFromForm(): RunOptions {
  const minutes = find('minutes', HTMLSelectElement).value;
  const given = NUMBERS.flatMap((name) => {
    const { value } = find(name, HTMLInputElement);
    return value === '' || (name === 'maxIters' && minutes !== '') ? [] : [[name, Number(value)] as const];
  });
  limit = minutes === '' ? undefined : 60 * Number(minutes);
  return {
    sampleTokens: SAMPLE,
    ...Object.fromEntries(given),
    tokenizer: find('tokenizer', HTMLSelectElement).value as 'char',
    ...(minutes !== '' && { minutes: Number(minutes) }),
  };
}

/** Options are named as their fields are labelled. */
const labels: Terms = {
  option: (name) => `“${labelOf(name)}”`,
  values: (values) =>
    Object.entries(values)
      .map(([name, value]) => `“${labelOf(name)}” ${value}`)
      .join(' and '),
  train: () => 'another training',
};
const labelOf = (name: string): string =>
  document.querySelector(`label:has(#${CSS.escape(name)})`)?.firstChild?.textContent?.trim() ?? name;

function startTraining(): void {
  if (text === undefined) return;
  isTraining = true;
  updateButtons();
  show('failure', false);
  show('training');
  say('announcement', '');
  say('status', 'reading the text …');
  find('progress').removeAttribute('value');
  find('stop').focus();
  asked = performance.now();
  const device = find('device', HTMLSelectElement).value as DeviceChoice;
  ask({ type: 'train', name: text.name, text: text.bytes, options: optionsFromForm(), device });
  find('training').scrollIntoView();
}

function showStart(found: RunSummary): void {
  runs++;
  started = performance.now();
  isUnsaved = true;
  isLooking = shouldLookAgain = false;
  for (const id of ['later-failure', 'result', 'report', 'written']) show(id, false);
  endWriting();
  find('look', HTMLButtonElement).disabled = false;
  find('samples').replaceChildren();
  chart ??= new LossChart(find('loss'), find('loss-reading'));
  chart.clear();
  say(
    'facts',
    [
      `${compact.format(found.parameters)} parameters in ${found.layers} layers of ${found.channels} channels and ${found.heads} heads`,
      `context of ${number.format(found.blockSize)} tokens`,
      `vocabulary of ${number.format(found.vocabulary)} tokens`,
      `${compact.format(found.tokens)} tokens to train on`,
      found.engine,
    ].join(' · '),
  );
}

function showStep({ step, steps, loss }: Answer & { type: 'step' }): void {
  const now = performance.now();
  const share = step / steps;
  find('progress', HTMLProgressElement).value = share;
  const bySteps = ((now - started) / 1000) * (1 / share - 1);
  const byTime = limit === undefined ? Infinity : Math.max(0, limit - (now - asked) / 1000);
  const left = duration(Math.min(bySteps, byTime));
  say(
    'status',
    `step ${number.format(step)} of ${number.format(steps)} · loss ${loss.toFixed(3)} · ${left} left`,
  );
}

function duration(seconds: number): string {
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
}

function showEvaluation({ step, trainLoss, validationLoss }: Answer & { type: 'evaluation' }): void {
  chart!.addEvaluation(step, trainLoss, validationLoss);
  show('result'); // from here on there is a model
  const isFollowed = !find('report').hidden && find('follow', HTMLInputElement).checked;
  if (isFollowed) lookInside();
}

/** One report at a time. */
function lookInside(): void {
  shouldLookAgain = isLooking;
  if (isLooking) return;
  isLooking = true;
  find('look', HTMLButtonElement).disabled = true;
  ask({ type: 'look inside', run: runs });
}

function endLooking(): void {
  isLooking = false;
  find('look', HTMLButtonElement).disabled = false;
  if (shouldLookAgain) lookInside();
}

function showSample(sampled: string, step: number): void {
  const item = document.createElement('li');
  const heading = document.createElement('p');
  heading.className = 'note';
  heading.textContent = `after step ${number.format(step)}`;
  const block = document.createElement('pre');
  block.textContent = sampled;
  item.append(heading, block);
  find('samples').prepend(item);
}

function showEnd(answer: Answer & { type: 'trained' }): void {
  endTraining();
  show('result');
  const result =
    answer.validationLoss === undefined
      ? ''
      : ` Validation loss ${answer.validationLoss.toFixed(3)} nats per token.`;
  const what = `${answer.isInterrupted ? 'Stopped' : 'Done'} after ${number.format(answer.step)} ${answer.step === 1 ? 'step' : 'steps'}.${result}`;
  say('status', what);
  say('announcement', what);
  find('progress', HTMLProgressElement).value = 1;
  const prompt = find('prompt', HTMLInputElement);
  if (prompt.value === '') prompt.value = answer.examplePrompt ?? '';
}

function endTraining(): void {
  isTraining = false;
  show('following', false);
  updateButtons();
}

function showReport(page: string): void {
  const frame = find('report', HTMLIFrameElement);
  const place = frame.hidden ? 0 : (frame.contentWindow?.scrollY ?? 0);
  show('report');
  frame.addEventListener('load', () => frame.contentWindow?.scrollTo(0, place), { once: true });
  frame.srcdoc = page;
  show('following', isTraining);
  endLooking();
}

function save(name: string, bytes: Uint8Array<ArrayBuffer>): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([bytes], { type: 'application/zip' }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  isUnsaved = isTraining;
}

/** Next to the button that was pressed. */
function showFailure({ during, message, hint }: Answer & { type: 'failed' }): void {
  const sentences = [message, hint]
    .filter((part) => part !== undefined)
    .map((part) => sentence(inTerms(part, labels)));
  const place = during === 'train' ? 'failure' : 'later-failure';
  say(place, sentences.join(' '));
  show(place);
  if (during === 'train') {
    endTraining();
    show('training', chart !== undefined);
    find(place).scrollIntoView({ block: 'center' });
  } else if (during === 'write') endWriting();
  else if (during === 'look inside') endLooking();
}

/** A message as a sentence; one that begins with the name of a file keeps it. */
const sentence = (words: string): string =>
  `${words.replace(/^[a-z]+(?=[ ,])/, (word) => word.charAt(0).toUpperCase() + word.slice(1))}.`;

function endWriting(): void {
  show('stop-writing', false);
  find('write', HTMLButtonElement).disabled = false;
}

function showWorking({ what, done }: Answer & { type: 'working' }): void {
  if (what === 'evaluating' || what.startsWith('saving')) return; // a moment between steps
  say('status', done === undefined ? `${what} …` : `${what}: ${Math.floor(100 * done)}%`);
}

worker.addEventListener('message', ({ data }: MessageEvent<Answer>) => {
  switch (data.type) {
    case 'working':
      return showWorking(data);
    case 'start':
      return showStart(data.run);
    case 'step':
      chart!.addStep(data.step, data.loss);
      return showStep(data);
    case 'evaluation':
      return showEvaluation(data);
    case 'sample':
      return showSample(data.text, data.step);
    case 'trained':
      return showEnd(data);
    case 'text':
      if (data.run === runs) find('written').textContent += data.text;
      return;
    case 'written':
      if (data.run === runs) endWriting();
      return;
    case 'report':
      if (data.run === runs) showReport(data.page);
      return;
    case 'archive':
      return save(data.name, data.bytes);
    case 'failed':
      return showFailure(data);
  }
});

worker.addEventListener('error', () => {
  say(
    'obstacle',
    'The program that trains could not be started. Reload the page; if that does not help, try another browser.',
  );
  show('obstacle');
});

find('minutes').addEventListener('change', ({ target }) => {
  if ((target as HTMLSelectElement).value === '') find('more', HTMLDetailsElement).open = true;
});
find('maxIters').addEventListener('input', () => (find('minutes', HTMLSelectElement).value = ''));
find('more').addEventListener('invalid', () => (find('more', HTMLDetailsElement).open = true), {
  capture: true,
});
find('setup').addEventListener('submit', (event) => {
  event.preventDefault();
  startTraining();
});
find('stop').addEventListener('click', () => ask({ type: 'stop' }));
find('writing').addEventListener('submit', (event) => {
  event.preventDefault();
  const prompt = find('prompt', HTMLInputElement).value;
  say('written', prompt);
  show('written');
  show('later-failure', false);
  show('stop-writing');
  find('write', HTMLButtonElement).disabled = true;
  const temperature = Number(find('temperature', HTMLInputElement).value);
  const maxTokens = Number(find('length', HTMLInputElement).value);
  ask({ type: 'write', prompt: { prompt, temperature, maxTokens }, run: runs });
});
find('stop-writing').addEventListener('click', () => ask({ type: 'stop writing' }));
find('look').addEventListener('click', lookInside);
find('download').addEventListener('click', () => ask({ type: 'download' }));
window.addEventListener('beforeunload', (event) => {
  if (isUnsaved) event.preventDefault(); // the browser asks whether to leave
});

if (obstacle === undefined) chooseText();
else {
  say('obstacle', obstacle);
  show('obstacle');
}
