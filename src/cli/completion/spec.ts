/** What can be typed after `gpt`, as plain data: read from the definitions of the commands, written by the shells' scripts. */
import type { Argument, Command, Option } from 'commander';
import { valueOf } from '../options.ts';

/** What may stand somewhere: one of some words, a file, a folder, a model folder, or text of which nothing is known. */
export type Candidates = readonly string[] | 'file' | 'folder' | 'model' | 'text';

export interface OptionSpec {
  /** As typed: `-o`, `--out-dir`. */
  readonly flags: readonly string[];
  readonly description: string;
  readonly value: Candidates | undefined;
  /** Whether the value may be left out. */
  readonly optional: boolean;
}

export interface CommandSpec {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly OptionSpec[];
  /** What its arguments are; undefined if it takes none. */
  readonly argument: Candidates | undefined;
  readonly commands: readonly CommandSpec[];
}

/** The spec of a command and those below it, all of which have been registered. */
export function specOf(command: Command): CommandSpec {
  const help = command.createHelp();
  const commands = help.visibleCommands(command).map(specOf);
  const [first] = help.visibleArguments(command);
  return {
    name: command.name(),
    summary: command.summary() || command.description(),
    options: help.visibleOptions(command).map(optionSpec),
    argument:
      commands.length > 0 ? commands.map(({ name }) => name) : first && candidates(first, first.name()),
    commands,
  };
}

function optionSpec(option: Option): OptionSpec {
  const takesValue = option.required || option.optional;
  return {
    flags: [option.short, option.long].filter((flag) => flag !== undefined),
    description: option.description,
    value: takesValue ? candidates(option, /[<[]([\w-]+)/.exec(option.flags)?.[1] ?? '') : undefined,
    optional: option.optional,
  };
}

/** @param name the word that stands for the value in the help: `<folder>` */
function candidates(made: Option | Argument, name: string): Candidates {
  if (made.argChoices !== undefined) return made.argChoices;
  const completes = valueOf(made)?.completes;
  if (completes !== undefined && completes !== 'path') return completes;
  if ('long' in made && made.long === '--model') return 'model';
  if (['run', 'runs', 'model', 'models'].includes(name)) return 'model';
  if (['folder', 'dir'].includes(name)) return 'folder';
  return completes === 'path' ? 'file' : 'text';
}
