/** `gpt completion`: shell scripts that complete commands, flags and values without starting a process. */
import type { Command } from 'commander';
import { UsageError } from '../errors.ts';
import { bashScript } from './completion/bash.ts';
import { fishScript } from './completion/fish.ts';
import { specOf, type CommandSpec } from './completion/spec.ts';
import { zshScript } from './completion/zsh.ts';
import { addExamples } from './help.ts';
import { argument } from './options.ts';
import { choice } from '../values.ts';
import { createProgram, registerAll } from './program.ts';
import { printJson } from './json-output.ts';
import { print } from './terminal.ts';

const scripts = { bash: bashScript, zsh: zshScript, fish: fishScript } satisfies Record<
  string,
  (gpt: CommandSpec) => string
>;
type Shell = keyof typeof scripts;
const shells = Object.keys(scripts) as Shell[];

export function register(command: Command): void {
  command
    .addArgument(argument('[shell]', shells.join(', '), choice(shells)))
    .option('--json', 'print all commands, flags and their values as JSON')
    .action(completion);
  addExamples(command, [
    ['bash: in ~/.bashrc', 'source <(gpt completion bash)'],
    ['zsh: in ~/.zshrc, after compinit', 'source <(gpt completion zsh)'],
    ['fish: once', 'gpt completion fish > ~/.config/fish/completions/gpt.fish'],
  ]);
}

async function completion(shell: Shell | undefined, { json }: { readonly json?: true }): Promise<void> {
  if (shell === undefined && json === undefined)
    throw new UsageError('missing-argument', 'no shell was given', {
      hint: `choose one: ${shells.join(', ')}`,
    });
  const program = createProgram();
  await registerAll(program);
  const spec = specOf(program);
  if (json) await printJson(spec, 2);
  else await print(scripts[shell!](spec));
}
