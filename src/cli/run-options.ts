/** Flags of `train` and `plan`, generated from the table of options. */
import { Option, type Command } from 'commander';
import { groups, type Group } from '../train/options/row.ts';
import { optionTable, type OptionRow } from '../train/options.ts';
import { flagOf } from '../flag-name.ts';
import { modelFolder, blasOption, threadsOption } from './model-options.ts';
import { option } from './options.ts';
import { wholeNumber } from '../values.ts';

/** Flags of `train` and `plan` that are not options of a run. */
export interface OtherFlags {
  readonly blas?: string;
  readonly quiet?: true;
  readonly verbose?: true;
  readonly debug?: true;
  readonly config?: string;
  readonly color?: boolean;
}

export const withoutOtherFlags = <T extends OtherFlags>({
  blas: _blas,
  quiet: _quiet,
  verbose: _verbose,
  debug: _debug,
  config: _config,
  color: _color,
  ...options
}: T): Omit<T, keyof OtherFlags> => options;

/** Model, data and training options, each under its heading. */
export function addRunOptions(command: Command): void {
  for (const group of groups.slice(0, -1)) addGroup(command, group);
  command.addOption(threadsOption()).addOption(blasOption());
}

/** The options of one group under its heading. */
export function addGroup(command: Command, group: Group): void {
  command.optionsGroup(`${group}:`);
  for (const [name, row] of optionTable())
    if (row.group === group && row.hasFlag !== false) command.addOption(optionOf(name, row));
}

/** Most flags have no default in commander: unset options are resolved once all flags are known. */
function optionOf(name: string, row: OptionRow): Option {
  const { help, placeholder, value, conflicts = [], defaultHelp, flagDefault } = row;
  const usual = defaultHelp ?? (typeof row.default === 'function' ? undefined : row.default);
  const isSwitch = placeholder === undefined;
  const isShown = usual !== undefined && flagDefault === undefined && !isSwitch; // commander prints its own
  const description = isShown ? `${help} (default: ${usual as string | number})` : help;
  if (isSwitch) return new Option(flagOf(name), description).conflicts([...conflicts]);
  const flags = `${flagOf(name)} <${placeholder}>`;
  const accepted = name === 'initFrom' ? modelFolder : value; // also the name of a run under checkpoints/
  return option(flags, description, accepted, flagDefault).conflicts([...conflicts]);
}

export const rankTimeoutOption = (): Option =>
  option(
    '--rank-timeout <seconds>',
    'under mpirun, when a rank that does not answer counts as lost; 0: never',
    wholeNumber({ min: 0, max: 1e6 }), // timers count milliseconds in 31 bits
    600,
  );
