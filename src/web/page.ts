/** The page: it passes texts and options to a worker that trains, and shows what comes back. */
import { chosenTexts, letTextsBeChosen } from './choose-texts.ts';
import { find, say, show } from './dom.ts';
import { failureText, workerFailure } from './failure.ts';
import { isolate } from './isolate.ts';
import { LossChart } from './loss-chart.ts';
import type { Answer, RunSummary } from './messages.ts';
import { counted, duration, inFull, lossText } from './numbers.ts';
import { chosenDevice, connectFields, fields, optionsFromForm, timeLimit } from './options-form.ts';
import { cautionAbout, factsOf, type TimeLimit } from './run-facts.ts';
import { Trainers, type Purpose } from './trainers.ts';

const obstacle = await isolate();
const trainers = new Trainers(hear, showWorkerFailure);

let chart: LossChart | undefined;
/**
 * Times at which training was requested, its first step began, and a run with a time limit will end, in milliseconds of
 * `performance.now()`.
 */
let asked = 0;
let started = 0;
let end: number | undefined;
let limit: TimeLimit | undefined;
/** A run has not completed its first step; a run is being trained. */
let isPreparing = false;
let isTraining = false;
/** The run being prepared, once its size is known. */
let prepared: RunSummary | undefined;
/** Steps of the run on display; undefined before there is one. */
let steps: number | undefined;
/** Names of the texts of the latest run. */
let names: readonly string[] = [];
/** The run has a model; it has been trained further than the one that was downloaded. */
let hasModel = false;
let isUnsaved = false;
/** The parts of the page shown for the run on display, while another one is prepared. */
let kept: ReturnType<typeof shownRun> | undefined;
/** A report is being made; another one has been requested meanwhile. */
let isLooking = false;
let shouldLookAgain = false;

function updateButtons(): void {
  const isBusy = isPreparing || isTraining;
  find('train', HTMLButtonElement).disabled = chosenTexts().length === 0 || isBusy;
  show('stop', isBusy);
  say('stop', isPreparing ? 'Stop' : 'Stop and keep the model');
}

/** Hides an error about the previous text and options. */
function forgetFailure(): void {
  if (!isPreparing) show('failure', false);
}

function startTraining(): void {
  const texts = chosenTexts();
  if (texts.length === 0) return;
  names = texts.map(({ name }) => name);
  limit = timeLimit();
  if (steps !== undefined) kept = shownRun();
  isPreparing = true;
  updateButtons();
  for (const id of ['obstacle', 'failure', 'facts', 'course', 'caution']) show(id, false);
  show('training');
  show('earlier', hasModel);
  say('announcement', '');
  say('status', 'reading the text …');
  find('progress').removeAttribute('value');
  find('stop').focus();
  asked = performance.now();
  trainers.train({ type: 'train', texts, options: optionsFromForm(), device: chosenDevice() });
  find('training').scrollIntoView();
}

const shownRun = () => ({
  status: find('status').textContent,
  progress: find('progress').getAttribute('value'),
  facts: find('facts').textContent,
  caution: find('caution').hidden ? undefined : find('caution').textContent,
});

function showCaution(caution: string | undefined): void {
  say('caution', caution ?? '');
  show('caution', caution !== undefined);
}

/** A run stopped before the end of its first step is discarded. */
function stop(): void {
  if (isTraining) {
    find('stop', HTMLButtonElement).disabled = true;
    say('status', 'stopping …');
    return trainers.ask({ type: 'stop' });
  }
  trainers.discardNext();
  endPreparing();
  say('announcement', 'Stopped before the first step.');
  find('train').focus();
}

/** Shows the previous run again, if there is one. */
function endPreparing(): void {
  isPreparing = false;
  stopMeasuring();
  updateButtons();
  show('training', kept !== undefined);
  show('earlier', false);
  showCaution(kept?.caution);
  if (kept === undefined) return;
  for (const id of ['facts', 'course']) show(id);
  say('facts', kept.facts);
  say('status', kept.status);
  if (kept.progress !== null) find('progress').setAttribute('value', kept.progress);
}

let measuring: ReturnType<typeof setInterval> | undefined;

/** Fraction of the time limit; the measurement usually takes at most a tenth of it. */
const LONG_MEASUREMENT = 0.25;

/** Shows the elapsed time: measuring a large model takes minutes. */
function showMeasuring(): void {
  stopMeasuring();
  const since = performance.now();
  const update = (): void => {
    const seconds = (performance.now() - since) / 1000;
    const time = seconds < 3 ? '' : ` ${duration(seconds)}`;
    const isLong = limit !== undefined && seconds > LONG_MEASUREMENT * limit.seconds;
    const advice = isLong ? ` · this model is large for ${limit!.name}: stop, and choose a smaller one` : '';
    say('status', `measuring this computer …${time}${advice}`);
  };
  update();
  measuring = setInterval(update, 1000);
}

function stopMeasuring(): void {
  clearInterval(measuring);
  measuring = undefined;
}

/** Shows the facts known before the first step, which takes minutes with a large model. */
function showStart(found: RunSummary): void {
  stopMeasuring();
  prepared = found;
  started = performance.now();
  say('facts', factsOf(found));
  show('facts');
  showCaution(cautionAbout(found, limit));
  const { expectedSeconds } = found;
  end = limit && asked + 1000 * Math.max(limit.seconds, expectedSeconds ?? 0);
  const time = expectedSeconds === undefined ? '' : ` · about ${duration(expectedSeconds)}`;
  say('status', `step 0 of ${inFull(found.steps)}${time}`);
}

/** Replaces the run on display, whose worker has been ended. */
function displayRun({ folder, engine }: RunSummary): void {
  [isPreparing, isTraining] = [false, true];
  hasModel = isLooking = shouldLookAgain = false;
  isUnsaved = true;
  kept = undefined;
  updateButtons();
  for (const id of ['later-failure', 'result', 'report', 'written', 'earlier']) show(id, false);
  endWriting();
  find('look', HTMLButtonElement).disabled = false;
  find('samples').replaceChildren();
  find('prompt', HTMLInputElement).placeholder = '';
  for (const element of document.querySelectorAll('.folder')) element.textContent = folder;
  show('resume-flags', engine.startsWith('webgpu')); // to use the GPU, Node needs another package
  show('course');
  chart ??= new LossChart(find('loss'), find('loss-reading'));
  chart.clear();
}

function showStep(answer: Answer & { type: 'step' }): void {
  if (isPreparing) displayRun(prepared!);
  steps = answer.step;
  chart!.addStep(answer.step, answer.loss);
  if (find('stop', HTMLButtonElement).disabled) return; // stopping
  const now = performance.now();
  const share = answer.step / answer.steps;
  find('progress', HTMLProgressElement).value = share;
  const bySteps = ((now - started) / 1000) * (1 / share - 1);
  const byTime = end === undefined ? Infinity : (end - now) / 1000;
  const left = duration(Math.max(0, Math.min(bySteps, byTime)));
  say(
    'status',
    `step ${inFull(answer.step)} of ${inFull(answer.steps)} · loss ${lossText(answer.loss)} · ${left} left`,
  );
}

function showEvaluation({ step, trainLoss, validationLoss }: Answer & { type: 'evaluation' }): void {
  chart!.addEvaluation(step, trainLoss, validationLoss);
  showResult();
  const isFollowed = !find('report').hidden && find('follow', HTMLInputElement).checked;
  if (isFollowed) lookInside();
}

/** Shows the controls for a run that has a model. */
function showResult(): void {
  hasModel = true;
  show('result');
}

/** Requests a report, one at a time. */
function lookInside(): void {
  shouldLookAgain = isLooking;
  if (isLooking) return;
  isLooking = true;
  find('look', HTMLButtonElement).disabled = true;
  trainers.ask({ type: 'look inside' });
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
  heading.textContent = `after step ${inFull(step)}`;
  const block = document.createElement('pre');
  block.textContent = sampled;
  item.append(heading, block);
  find('samples').prepend(item);
}

function showEnd(answer: Answer & { type: 'trained' }): void {
  endTraining();
  showResult();
  const result =
    answer.validationLoss === undefined
      ? ''
      : ` Validation loss ${lossText(answer.validationLoss)} nats per token.`;
  const what = `${answer.isInterrupted ? 'Stopped' : 'Done'} after ${counted(answer.step, 'step')}.${result}`;
  say('status', what);
  say('announcement', what);
  find('progress', HTMLProgressElement).value = 1;
  if (answer.examplePrompt !== undefined)
    find('prompt', HTMLInputElement).placeholder = `such as: ${answer.examplePrompt}`;
}

function endTraining(): void {
  isTraining = false;
  find('stop', HTMLButtonElement).disabled = false;
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

/** Shows an error next to the button that was pressed. */
function showFailure({ during, ...failure }: Answer & { type: 'failed' }): void {
  const isRun = during === 'train';
  const place = isRun ? 'failure' : 'later-failure';
  const hasBegun = isTraining;
  say(place, failureText(failure, { fields: fields(), texts: names, hasModel: hasModel && hasBegun }));
  show(place);
  if (during === 'write') endWriting();
  else if (during === 'look inside') endLooking();
  if (!isRun) return;
  if (hasBegun) {
    endTraining();
    isUnsaved = hasModel;
    say('status', `Failed after ${counted(steps!, 'step')}.`);
    find('progress', HTMLProgressElement).value ||= 0; // no longer moving
  } else endPreparing();
  find(place).scrollIntoView({ block: 'center' });
}

/** @param message none if the program could not be loaded */
function showWorkerFailure(purpose: Purpose, message: string | undefined): void {
  const failure = workerFailure(message, hasModel && isUnsaved);
  if (purpose === 'next') return showFailure({ type: 'failed', during: 'train', ...failure });
  const place = purpose === 'spare' ? 'obstacle' : 'failure';
  say(place, failureText(failure, { fields: fields(), texts: names, hasModel }));
  show(place);
}

function endWriting(): void {
  show('stop-writing', false);
  find('write', HTMLButtonElement).disabled = false;
}

function showWorking({ what, done }: Answer & { type: 'working' }): void {
  if (what === 'evaluating' || what.startsWith('saving')) return; // takes a moment, between steps
  stopMeasuring();
  say('status', done === undefined ? `${what} …` : `${what}: ${Math.floor(100 * done)}%`);
}

function hear(answer: Answer): void {
  switch (answer.type) {
    case 'working':
      return showWorking(answer);
    case 'measuring':
      return showMeasuring();
    case 'start':
      return showStart(answer.run);
    case 'step':
      return showStep(answer);
    case 'evaluation':
      return showEvaluation(answer);
    case 'sample':
      return showSample(answer.text, answer.step);
    case 'trained':
      return showEnd(answer);
    case 'text':
      find('written').textContent += answer.text;
      return;
    case 'written':
      return endWriting();
    case 'report':
      return showReport(answer.page);
    case 'archive':
      return save(answer.name, answer.bytes);
    case 'failed':
      return showFailure(answer);
  }
}

function write(): void {
  const prompt = find('prompt', HTMLInputElement).value;
  say('written', prompt);
  show('written');
  show('later-failure', false);
  show('stop-writing');
  find('write', HTMLButtonElement).disabled = true;
  const temperature = Number(find('temperature', HTMLInputElement).value);
  const maxTokens = Number(find('length', HTMLInputElement).value);
  trainers.ask({ type: 'write', prompt: { prompt, temperature, maxTokens } });
}

/** @param handle called instead of loading another page */
function onSubmit(form: string, handle: () => void): void {
  find(form).addEventListener('submit', (event) => {
    event.preventDefault();
    handle();
  });
}

onSubmit('setup', startTraining);
onSubmit('writing', write);
find('setup').addEventListener('input', forgetFailure);
find('stop').addEventListener('click', stop);
find('stop-writing').addEventListener('click', () => trainers.ask({ type: 'stop writing' }));
find('look').addEventListener('click', lookInside);
find('download').addEventListener('click', () => trainers.ask({ type: 'download' }));
window.addEventListener('beforeunload', (event) => {
  if (isUnsaved) event.preventDefault(); // the browser asks whether to leave
});

if (obstacle === undefined) {
  letTextsBeChosen(() => {
    forgetFailure();
    updateButtons();
  });
  connectFields();
} else {
  say('obstacle', obstacle);
  show('obstacle');
}
