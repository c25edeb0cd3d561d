/** The options of a run, as fields of the form. */
import type { DeviceChoice } from '../engine/device-choice.ts';
import type { Gpu } from '../engine/webgpu/gpu.ts';
import { find, show } from './dom.ts';
import type { Field } from './failure.ts';
import type { RunOptions } from './messages.ts';
import type { TimeLimit } from './run-facts.ts';

/** Fields whose names are those of the program; empty ones are omitted. */
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
const CHOICES = ['minutes', 'tokenizer', 'device'] as const;

/** Tokens of the text that is sampled after each evaluation. */
const SAMPLE = 200;

/** Undefined for a run with a number of steps. */
export function timeLimit(): TimeLimit | undefined {
  const { value, selectedOptions } = find('minutes', HTMLSelectElement);
  return value === '' ? undefined : { seconds: 60 * Number(value), name: selectedOptions[0].text };
}

export const chosenDevice = (): DeviceChoice => find('device', HTMLSelectElement).value as DeviceChoice;

export function optionsFromForm(): RunOptions {
  const given = NUMBERS.flatMap((name) => {
    const { value } = find(name, HTMLInputElement);
    return value === '' ? [] : [[name, Number(value)] as const];
  });
  const limit = timeLimit();
  return {
    sampleTokens: SAMPLE,
    ...Object.fromEntries(given),
    tokenizer: find('tokenizer', HTMLSelectElement).value as 'char',
    ...(limit !== undefined && { minutes: limit.seconds / 60 }),
  };
}

/** The fields by the name of their option. */
export const fields = (): Record<string, Field> => ({
  ...Object.fromEntries(NUMBERS.map((name) => [name, { label: labelOf(name) }])),
  ...Object.fromEntries(
    CHOICES.map((name) => {
      const options = Array.from(find(name, HTMLSelectElement).options, ({ value, text }) => [value, text]);
      return [name, { label: labelOf(name), values: Object.fromEntries(options) as Record<string, string> }];
    }),
  ),
});

const labelOf = (name: string): string =>
  document.querySelector(`label:has(#${name})`)!.firstChild!.textContent!.trim();

/** Makes the fields depend on each other: a run has either a time or a number of steps, which must be given. */
export function connectFields(): void {
  const [minutes, steps, more] = [
    find('minutes', HTMLSelectElement),
    find('maxIters', HTMLInputElement),
    find('more', HTMLDetailsElement),
  ];
  const chooseLength = (): void => {
    steps.required = minutes.value === '';
    if (steps.required) more.open = true;
    else steps.value = '';
  };
  minutes.addEventListener('change', chooseLength);
  steps.addEventListener('input', () => {
    minutes.value = '';
    steps.required = true;
  });
  more.addEventListener('invalid', () => (more.open = true), { capture: true });
  chooseLength(); // a browser may have restored the fields of an earlier visit
  void offerGpu();
}

/** Lets a GPU be chosen if the browser has one for pages. */
async function offerGpu(): Promise<void> {
  const { gpu } = navigator as { readonly gpu?: Gpu };
  if (gpu !== undefined && (await gpu.requestAdapter()) !== null) show('devices');
}
