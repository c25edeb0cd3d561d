/** Options from environment variables such as `GPT_THREADS=1`, declared with `orVariable` (options.ts). */
import type { Command } from 'commander';
import { applyOption, naming } from './apply-option.ts';
import { ignoresValue, variableOf } from './options.ts';

/** Applies environment variables. @throws UsageError naming the variable, if its value is invalid */
export function applyEnvironment(
  command: Command,
  environment: Readonly<Record<string, string | undefined>>,
): void {
  for (const option of command.options) {
    const variable = variableOf(option);
    const text = variable === undefined ? undefined : environment[variable];
    if (text === undefined || text === '' || ignoresValue(option, text)) continue;
    naming(variable!, () => applyOption(command, option, text, 'env'));
  }
}
