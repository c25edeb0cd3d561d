import { globSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseAst } from 'vitest/node';
import { commandLineTerms } from '../src/cli/command-line-terms.ts';
import { inTerms, libraryTerms, optionName, optionValues, trainCall } from '../src/messages.ts';
import { recordingProgram, withSubcommands } from './cli/definitions.ts';

describe('a message is written in the terms of the library or of the command line', () => {
  test.each([
    [`use a smaller ${optionName('blockSize')}`, 'use a smaller blockSize', 'use a smaller --block-size'],
    [
      `try ${optionValues({ batchSize: 4, blockSize: 32 })}`,
      'try batchSize: 4, blockSize: 32',
      'try --batch-size 4 --block-size 32',
    ],
    [
      trainCall(['a.txt', "b's.txt"], { initFrom: 'gpt2', force: true, learningRate: 1e-7 }),
      'train({ corpus: ["a.txt","b\'s.txt"], initFrom: "gpt2", force: true, learningRate: 1e-7 })',
      `gpt train a.txt "b's.txt" --init-from gpt2 --force --learning-rate 1e-7`,
    ],
    [
      `or ${trainCall([], { resume: 'run' })}`,
      'or train({ corpus: [], resume: "run" })',
      'or gpt train --resume run',
    ],
    [
      trainCall(['-'], { resume: 'run' }),
      'train({ corpus: ["-"], resume: "run" })',
      'cat corpus.txt | gpt train - --resume run',
    ],
  ])('%j', (message, library, commandLine) => {
    expect(inTerms(message, libraryTerms)).toBe(library);
    expect(inTerms(message, commandLineTerms)).toBe(commandLine);
  });
});

/** The sources of the library, whose users know fields and functions, not flags and commands. */
const sources = globSync('src/**/*.ts', {
  exclude: [
    'src/cli/**',
    'src/card/**', // model cards, which show how to use the model
    'src/train/train-command.ts', // the command in such a card
    'src/report/**', // pages that `gpt report` and `gpt compare` write
    'src/kernels/**', // no messages
    'src/web/**', // a page; its names of colors look like flags
  ],
});

/** Flags of other programs, and commands that the library has no function for. */
const exceptions: readonly RegExp[] = [
  /\bgpt tokenize\b.*/, // writes token files
  /^gpt report$/, // the generator that its pages name
  /^ --local-dir $/, // of `hf download`
  /--allow-ffi$|^--input-type$/, // of Node
  /^--experimental-wasm-revectorize$/, // of V8
  /--mpi=pmix or --mpi=pmi2/, // of srun
  /^--(threads=1|stdout)$/, // of xz
];

test('below the command line, no text names a flag or a command', async () => {
  const { program } = await recordingProgram();
  const commands = program.commands.map((command) => command.name()).join('|');
  const isFlagOrCommand = new RegExp(`(?<![\\w-])--[a-z]|\\bgpt (${commands})\\b`);
  const found = sources.flatMap((file) =>
    textsOf(file)
      .map((text) => exceptions.reduce((rest, exception) => rest.replace(exception, ''), text))
      .filter((text) => isFlagOrCommand.test(text))
      .map((text) => `${file}: ${text}`),
  );
  expect(found).toEqual([]);
});

test('every option that a message names is one of a command', async () => {
  const { program } = await recordingProgram();
  const flags = withSubcommands(program).flatMap(({ options }) => options.map(({ long }) => long));
  const named = sources.flatMap((file) =>
    Array.from(readFileSync(file, 'utf8').matchAll(/optionName\('(\w+)'\)/g), ([, name]) => name),
  );
  expect(named.length).toBeGreaterThan(50);
  expect(named.filter((name) => !flags.includes(commandLineTerms.option(name)))).toEqual([]);
});

/** The literals of a source file, and the parts of its templates, except the help of flags. */
function textsOf(file: string): string[] {
  const texts: string[] = [];
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    const { type, key, value } = node as { type?: string; key?: { name?: string }; value?: unknown };
    if (type === 'Property' && ['help', 'defaultHelp'].includes(key?.name ?? '')) return;
    if (type === 'Literal' && typeof value === 'string') texts.push(value);
    if (type === 'TemplateElement') texts.push((value as { cooked: string }).cooked);
    else Object.values(node).forEach(visit);
  };
  visit(parseAst(readFileSync(file, 'utf8'), { lang: 'ts' }));
  return texts;
}
