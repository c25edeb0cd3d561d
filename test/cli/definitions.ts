/** The commands as they are defined, without running them. */
import type { Command } from 'commander';
import { createProgram, registerAll } from '../../src/cli/program.ts';

/** A program whose commands do nothing but remember how they were called. */
export async function recordingProgram(): Promise<{
  readonly program: Command;
  /** Parses a command line as `gpt` would. @returns the command's arguments and options. Throws for wrong usage. */
  readonly parse: (
    words: readonly string[],
  ) => Promise<{ args: unknown[]; options: Record<string, unknown> }>;
}> {
  const program = createProgram();
  await registerAll(program);
  let called: { args: unknown[]; options: Record<string, unknown> } | undefined;
  for (const command of withSubcommands(program))
    if (command.commands.length === 0)
      command.action((...given: unknown[]) => {
        called = { args: given.slice(0, -2), options: { ...command.opts() } };
      });
  return {
    program,
    parse: async (words) => {
      await program.parseAsync(words, { from: 'user' });
      if (called === undefined) throw new Error(`${words.join(' ')} runs no command`);
      return called;
    },
  };
}

export const withSubcommands = (command: Command): Command[] => [
  command,
  ...command.commands.flatMap(withSubcommands),
];

/** The words behind each `gpt` or `npx gpt` in lines of a shell, heredocs and substitutions aside. */
export function gptCalls(script: string): string[][] {
  const calls: string[][] = [];
  for (const words of simpleCommands(script.replace(/\\\n/g, ' '))) {
    const at = words[0] === 'npx' ? 1 : 0;
    if (words[at] === 'gpt') calls.push(words.slice(at + 1));
  }
  return calls;
}

/** Words of each simple command: quotes removed, redirections dropped, cut at pipes, separators and keywords. */
function simpleCommands(script: string): string[][] {
  const tokens = script.matchAll(
    /(?<comment>(?<=^|\s)#.*)|(?<cut>\n|&&|\|\|?|;|\$\(|<\(|\)|`)|(?<redirect>\d?>>?(?:&\d)?\s*[^\s|;)]*|<\s*[^\s|;()]+)|(?<word>(?:'[^']*'|"(?:\\.|[^"])*"|\\.|[^\s'"|;&<>()`$\\]|\$(?!\())+)/gm,
  );
  const commands: string[][] = [[]];
  for (const { groups } of tokens) {
    if (groups?.['cut'] !== undefined) commands.push([]);
    else if (groups?.['word'] !== undefined) {
      const word = groups['word'].replace(
        /'([^']*)'|"((?:\\.|[^"])*)"/g,
        (_, single?: string, double?: string) => (single ?? double ?? '').replace(/\\(["\\$`])/g, '$1'),
      );
      if (['do', 'then', 'else', 'while', 'if', '!'].includes(word) || /^\w+=\S*$/.test(word)) {
        if (commands.at(-1)!.length > 0) commands.at(-1)!.push(word);
      } else commands.at(-1)!.push(word);
    }
  }
  return commands.filter((words) => words.length > 0);
}
