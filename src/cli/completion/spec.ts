/**
 * Everything that can be typed after `gpt`, as data extracted from the command definitions; each shell's script is
 * generated from it.
 */
import type { Argument, Command, Option } from 'commander';
import { valueOf } from '../options.ts';

/** Candidates at a position: words, a file, a folder, a model folder, or unknown text. */
export type Candidates = readonly string[] | 'file' | 'folder' | 'model' | 'text';

export interface OptionSpec {
  /** As typed: `-o`, `--out-dir`. */
  readonly flags: readonly string[];
  readonly description: string;
  readonly value: Candidates | undefined;
  /** The value is optional. */
  readonly optional: boolean;
}

export interface CommandSpec {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly OptionSpec[];
  /** Candidates for its arguments; undefined if it takes none. */
  readonly argument: Candidates | undefined;
  readonly commands: readonly CommandSpec[];
}

/** Spec of a command and its subcommands, all of which must be registered. */
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

/** @param name placeholder of the value in the help: `<folder>` */
function candidates(made: Option | Argument, name: string): Candidates {
  if (made.argChoices !== undefined) return made.argChoices;
  const completes = valueOf(made)?.completes;
  if (completes !== undefined && completes !== 'path') return completes;
  if ('long' in made && made.long === '--model') return 'model';
  if (['run', 'runs', 'model', 'models'].includes(name)) return 'model';
  if (['folder', 'dir'].includes(name)) return 'folder';
  return completes === 'path' ? 'file' : 'text';
}
