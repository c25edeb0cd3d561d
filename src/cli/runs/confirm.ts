import { createInterface } from 'node:readline';
import { UsageError } from '../../errors.ts';
import { printError } from '../terminal.ts';
import { isTyped } from '../typed-input.ts';

/**
 * Asks a question on the terminal; only `y` and `yes` mean yes.
 *
 * @param what for the error: 'deleting runs'
 * @throws UsageError if nobody can be asked
 */
export async function confirm(question: string, what: string): Promise<boolean> {
  if (!isTyped())
    throw new UsageError('missing-argument', `${what} needs --yes without a terminal to confirm on`, {
      hint: 'check what would be deleted, then add --yes',
    });
  printError(`${question} [y/N]`);
  const reader = createInterface({ input: process.stdin, terminal: false });
  const answer = await new Promise<string>((resolve) => {
    reader.once('line', resolve);
    reader.once('close', () => resolve(''));
  });
  reader.close();
  return /^\s*y(es)?\s*$/i.test(answer);
}
