/**
 * All commands as a table. A command's module is loaded only when it is used, so `gpt --help` loads only this file and
 * commander.
 */
import { Command, Option } from 'commander';
import { styleHelp } from './help.ts';
import { checkDivisible, followerName } from './launched.ts';
import { asStarted } from './command-name.ts';
import { option } from './options.ts';
import { packageVersion } from '../package-version.ts';
import { filePath } from '../values.ts';
import { setForScript, setVerbosity } from './terminal.ts';

export interface CommandEntry {
  readonly name: string;
  /** One line for `gpt --help`, and the heading of the command's own help. */
  readonly summary: string;
  readonly load: () => Promise<CommandModule>;
}

/** What a command's module exports: `register` adds arguments, options, examples and an action. */
interface CommandModule {
  register(command: Command): void;
}

const globalOptions = 'Global options:';

export const commands: readonly CommandEntry[] = [
  { name: 'train', summary: 'Train a model on text', load: () => import('./train.ts') },
  {
    name: 'plan',
    summary: 'Forecast the model, time, memory and cost of a run',
    load: () => import('./plan.ts'),
  },
  { name: 'sample', summary: 'Generate text with a model', load: () => import('./sample/command.ts') },
  { name: 'chat', summary: 'Talk to a model', load: () => import('./chat/command.ts') },
  { name: 'eval', summary: 'Measure how well a model predicts a text', load: () => import('./eval.ts') },
  { name: 'inspect', summary: 'Look inside a model', load: () => import('./inspect.ts') },
  { name: 'compare', summary: 'Compare runs', load: () => import('./compare.ts') },
  {
    name: 'report',
    summary: 'Write a web page about one or several runs',
    load: () => import('./report.ts'),
  },
  { name: 'list', summary: 'List runs: size, loss, age and origin', load: () => import('./runs/list.ts') },
  { name: 'rm', summary: 'Delete runs', load: () => import('./runs/rm.ts') },
  {
    name: 'prune',
    summary: 'Delete the checkpoints of finished runs, and keep their models',
    load: () => import('./runs/prune.ts'),
  },
  {
    name: 'export',
    summary: 'Write a model for llama.cpp, LM Studio or Ollama',
    load: () => import('./export.ts'),
  },
  {
    name: 'tokenize',
    summary: 'Build a tokenizer, encode and decode text',
    load: () => import('./tokenize.ts'),
  },
  {
    name: 'bench',
    summary: 'Measure training and sampling speed on this computer',
    load: () => import('./bench.ts'),
  },
  {
    name: 'doctor',
    summary: 'Check the engine and its speed on this computer',
    load: () => import('./doctor.ts'),
  },
  { name: 'gradcheck', summary: 'Check all gradients numerically', load: () => import('./gradcheck.ts') },
  {
    name: 'completion',
    summary: 'Print a shell completion script',
    load: () => import('./completion.ts'),
  },
];

export function createProgram(entries: readonly CommandEntry[] = commands): Command {
  const program = new Command('gpt')
    .description('Train GPT language models on your own text.')
    .usage('<command> [options]')
    .optionsGroup(globalOptions)
    .version(packageVersion(), '-v, --version', 'print the version')
    .exitOverride()
    .enablePositionalOptions(); // whatever follows a command belongs to it: `gpt sample --prompt --quiet` has the prompt "--quiet"
  styleHelp(program);
  program
    .addHelpOption(new Option('-h, --help', 'print this help').helpGroup(globalOptions))
    .helpCommand(false);
  addGlobalOptions(program);

  for (const entry of entries) {
    const { name, summary } = entry;
    unregistered.set(program.command(name).summary(summary).description(summary), entry);
  }
  program.hook('preSubcommand', (_program, command) => registerCommand(command));
  program.hook('preAction', async (_program, command) => {
    checkDivisible(command);
    const { applyEnvironment } = await import('./environment.ts');
    applyEnvironment(command, process.env);
    const { config } = command.opts<{ config?: string }>();
    // Rank 0 sends the others what concerns them; the file need not be on their hosts.
    if (config !== undefined && followerName() === undefined)
      (await import('./config.ts')).applyConfigFile(command, config);
    const isChosen = ['blas', 'device', 'resume'].some((name) => command.getOptionValue(name) !== undefined);
    if (isChosen || process.env['GPT_ENGINE'] || process.env['GPT_WEBGPU'])
      await (await import('./choose-engine.ts')).chooseEngine(command, process.env);
    const { quiet, verbose } = command.optsWithGlobals<{ quiet?: true; verbose?: true }>();
    setVerbosity(quiet ? 'quiet' : verbose ? 'verbose' : 'normal');
    setForScript(command.getOptionValue('json') === true);
  });

  program
    .command('help [command]', { hidden: true })
    .description('Show the help of a command')
    .action(async (name?: string) => {
      const known = name === undefined || program.commands.some((command) => command.name() === name);
      const args = [name, known ? '--help' : undefined].filter((arg) => arg !== undefined);
      await program.parseAsync(args, { from: 'user' });
    });

  program.addHelpText('after', () =>
    asStarted('\nSee gpt <command> --help for the options and examples of a command.'),
  );
  return program;
}

/** Commands whose module has not been loaded. */
const unregistered = new WeakMap<Command, CommandEntry>();

/** Loads and registers a command's module once. */
async function registerCommand(command: Command): Promise<void> {
  const entry = unregistered.get(command);
  if (entry === undefined) return;
  unregistered.delete(command);
  const module = await entry.load();
  module.register(command);
  for (const each of withSubcommands(command)) {
    addGlobalOptions(each.optionsGroup(globalOptions));
    each.addOption(option('--config <file>', 'read options from a JSON file or a run', filePath));
    each.helpCommand(false);
  }
}

/** Loads every command, to list everything that can be typed. */
export async function registerAll(program: Command): Promise<void> {
  for (const command of program.commands) await registerCommand(command);
}

/** Flags of every command, accepted before or after its name. */
function addGlobalOptions(command: Command): void {
  command
    .addOption(new Option('-q, --quiet', 'print only results, warnings and errors').conflicts('verbose'))
    .addOption(new Option('--verbose', 'print more details'))
    // These two must work while the command line is still being parsed, so terminal.ts and errors.ts look for them in argv.
    .addOption(new Option('--no-color', 'plain text; NO_COLOR in the environment does the same'))
    .addOption(new Option('--debug', 'print the stack of an error'));
}

const withSubcommands = (command: Command): Command[] => [
  command,
  ...command.commands.flatMap(withSubcommands),
];
