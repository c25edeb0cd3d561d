/** Prints parts of generated text. */
import { forStdout, print } from './terminal.ts';

/** Prints part of a text. */
export type Show = (text: string, style?: (text: string) => string) => Promise<void>;

export const asItIs: Show = (text, style = String) =>
  text === '' ? Promise.resolve() : print(style(forStdout(text)));
