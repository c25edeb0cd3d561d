/** Options from the environment: `GPT_THREADS=1`, where an option says so of itself (options.ts, `orVariable`). */
import type { Command } from 'commander';
import { applyOption, naming } from './apply-option.ts';
import { variableOf } from './options.ts';

/** Takes over what the environment says. @throws UsageError naming the variable, if the option does not accept it */
export function applyEnvironment(
  command: Command,
  environment: Readonly<Record<string, string | undefined>>,
): void {
  for (const option of command.options) {
    const variable = variableOf(option);
    const text = variable === undefined ? undefined : environment[variable];
    if (text === undefined || text === '') continue;
    naming(variable!, () => applyOption(command, option, text, 'env'));
  }
}
