/** `gpt gradcheck`: compares every hand-written derivative with a numerical one. */
import type { Command } from 'commander';
import { gradientCases } from '../autodiff/gradcheck-cases.ts';
import { checkGradients, TOLERANCE, type GradientCase, type GradientResult } from '../autodiff/gradcheck.ts';
import { UserError } from '../errors.ts';
import { modelGradientCases } from '../model/gradcheck-cases.ts';
import { addExamples } from './help.ts';
import { option } from './options.ts';
import { seed, wholeNumber } from '../values.ts';
import { printJson, snakeCased } from './json-output.ts';
import { notice, print, stdoutColors } from './terminal.ts';

interface Options {
  readonly seed: number;
  readonly limit: number;
  readonly json?: true;
}

export function register(command: Command): void {
  command
    .addOption(option('--seed <n>', 'seed of the random inputs', seed, 1))
    .addOption(
      option('--limit <n>', 'elements checked per tensor of a whole model', wholeNumber({ min: 1 }), 50),
    )
    .option('--json', 'print the results as JSON')
    .action(gradcheck);
  addExamples(command, [
    ['Check every op and two small models', 'gpt gradcheck'],
    ['Only the worst error, for a script', "gpt gradcheck --json | jq '[.[].relative_error] | max'"],
  ]);
}

async function gradcheck({ seed: chosen, limit, json }: Options): Promise<void> {
  notice('Compares each derivative with (L(x + h) − L(x − h)) / 2h, h = 1e-5, in float64.');
  const results: GradientResult[] = [];
  const run = async (checks: readonly GradientCase[], bound: number): Promise<void> => {
    for (const check of checks) {
      const found = await checkGradients(check, { seed: chosen, limit: bound });
      results.push(...found);
      if (json === undefined) for (const result of found) await print(`${row(result)}\n`);
    }
  };
  if (json === undefined) await print(header());
  await run(Object.values(gradientCases).flat(), Infinity);
  await run(modelGradientCases(), limit);
  if (json) await printJson(snakeCased(results), 2);

  const wrong = results.filter((result) => !isRight(result));
  const worst = Math.max(...results.map((result) => result.relativeError));
  if (wrong.length > 0)
    throw new UserError(
      'check-failed',
      `${wrong.length} of ${results.length} gradients have a relative error above ${TOLERANCE}`,
      {
        hint: `the first: ${wrong[0].case}, ${wrong[0].input}`,
      },
    );
  notice(
    `${results.length} gradients checked, all correct; the largest relative error is ${exponent(worst)}.`,
  );
}

const isRight = ({ relativeError }: GradientResult): boolean => relativeError < TOLERANCE;
const exponent = (error: number): string => error.toExponential(1);

const header = (): string =>
  stdoutColors.bold(
    `${'case'.padEnd(36)} ${'gradient of'.padEnd(24)} ${'elements'.padStart(8)}  relative error\n`,
  );

function row(result: GradientResult): string {
  const verdict = isRight(result) ? stdoutColors.green('ok') : stdoutColors.red('WRONG');
  const { relativeError, elements } = result;
  return `${result.case.padEnd(36)} ${result.input.padEnd(24)} ${String(elements).padStart(8)}  ${exponent(relativeError)}  ${verdict}`;
}
