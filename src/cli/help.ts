/** Layout of the help: groups, subdued colors, uniform defaults, examples at the end. */
import { Help, type Command, type Option } from 'commander';
import { asStarted } from './command-name.ts';
import { variableOf } from './options.ts';
import { helpColors, stderrColors, stdoutColors } from './terminal.ts';

// Maximum line length in any window, for readability.
const widest = 100;
const withinWidth = (columns: number | undefined): number => Math.min(columns ?? 80, widest);

/** Applies this layout to a command and all its subcommands. */
export function styleHelp(command: Command): void {
  command.configureOutput({
    getOutHelpWidth: () => withinWidth(process.stdout.columns),
    getErrHelpWidth: () => withinWidth(process.stderr.columns),
    getOutHasColors: () => stdoutColors.level > 0,
    getErrHasColors: () => stderrColors.level > 0,
    outputError: () => {}, // errors.ts prints all errors in the same form
  });
  command.configureHelp({
    optionDescription: describeOption,
    commandUsage: (shown) => asStarted(new Help().commandUsage(shown)),
    subcommandTerm: (subcommand) => subcommand.name(),
    padWidth,
    formatItem,
    styleTitle: (text) => helpColors.bold(text),
    styleCommandText: (text) => helpColors.cyan(text),
    styleOptionText: (text) => helpColors.cyan(text),
    styleSubcommandText: (text) => helpColors.cyan(text),
    styleArgumentText: (text) => helpColors.cyan(text),
    styleOptionDescription: (text) => text.replace(/\((default: [^()]*)\)$/, helpColors.dim('($1)')),
  });
}

function describeOption(option: Option): string {
  const { defaultValue, defaultValueDescription } = option;
  const variable = variableOf(option);
  const description = variable === undefined ? option.description : `${option.description}; or ${variable}`;
  // Every switch defaults to `false`.
  if (defaultValue === undefined || typeof defaultValue === 'boolean') return description;
  return `${description} (default: ${defaultValueDescription ?? String(defaultValue)})`;
}

// A longer term gets its own line instead of moving all descriptions to the right.
const widestTerm = 26;

function padWidth(command: Command, help: Help): number {
  const terms = [
    ...help.visibleArguments(command).map((argument) => help.argumentTerm(argument)),
    ...help.visibleOptions(command).map((option) => help.optionTerm(option)),
    ...help.visibleCommands(command).map((subcommand) => help.subcommandTerm(subcommand)),
  ];
  return Math.max(...terms.map((term) => term.length).filter((width) => width <= widestTerm));
}

function formatItem(this: Help, term: string, column: number, description: string, help: Help): string {
  const lines = help.boxWrap(description, (help.helpWidth ?? 80) - column - 4).split('\n');
  const gap = column + 2 - help.displayWidth(term);
  const first = gap >= 2 ? term + ' '.repeat(gap) + lines.shift() : term;
  return [first, ...lines.map((line) => ' '.repeat(column + 2) + line)]
    .map((line) => `  ${line}`.trimEnd())
    .join('\n');
}

/** Appends examples to the help of a command, each with a line that says what it does. */
export function addExamples(
  command: Command,
  examples: readonly (readonly [what: string, line: string])[],
): void {
  command.addHelpText('after', () => {
    const entries = examples.map(([what, line]) => `  ${helpColors.dim(`# ${what}`)}\n  ${asStarted(line)}`);
    return `\n${helpColors.bold('Examples:')}\n${entries.join('\n\n')}`;
  });
}
