import { wholeNumber } from '../../values.ts';
import type { ConfigField } from '../architecture.ts';

/** `nInner`, the hidden channels of the MLP: the one optional config field that GPT-2 and Llama share. */
export const innerWidth = {
  value: wholeNumber({ min: 1 }),
  default: undefined,
  placeholder: 'n',
  help: 'hidden channels of the MLP',
  defaultHelp: '4·n-embd for gpt2, 8/3·n-embd for others',
} as const satisfies ConfigField;
