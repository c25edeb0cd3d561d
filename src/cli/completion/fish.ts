import type { Candidates, CommandSpec, OptionSpec } from './spec.ts';

export const fishScript = (
  gpt: CommandSpec,
): string => `# Completion of gpt for fish: gpt completion fish > ~/.config/fish/completions/gpt.fish

function __gpt_models
    for config in checkpoints/*/config.json
        string replace /config.json '' $config
    end
    __fish_complete_directories
end

complete -c gpt-trainer -w gpt
complete -c gpt -f
${[
  ...gpt.options.map((option) => line('__fish_use_subcommand', option)),
  ...gpt.commands.flatMap(commandLines),
].join('\n')}
`;

function commandLines({ name, summary, options, argument }: CommandSpec): string[] {
  const here = `__fish_seen_subcommand_from ${name}`;
  return [
    `complete -c gpt -n __fish_use_subcommand -a ${name} -d ${quote(summary)}`,
    ...(argument === undefined || argument === 'text'
      ? []
      : [`complete -c gpt -n ${quote(here)} ${given(argument)}`]),
    ...options.map((option) => line(here, option)),
  ];
}

function line(condition: string, { flags, description, value, optional }: OptionSpec): string {
  const names = flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
  const required = value === undefined || optional ? [] : ['-r'];
  const candidates = value === undefined ? [] : [given(value)];
  return [
    `complete -c gpt -n ${quote(condition)}`,
    ...names,
    ...required,
    ...candidates,
    `-d ${quote(description)}`,
  ].join(' ');
}

function given(candidates: Candidates): string {
  if (typeof candidates !== 'string') return `-f -a ${quote(candidates.join(' '))}`;
  return {
    file: '-F',
    folder: "-f -a '(__fish_complete_directories)'",
    model: "-f -a '(__gpt_models)'",
    text: '-f',
  }[candidates];
}

const quote = (text: string): string => `'${text.replace(/['\\]/g, '\\$&')}'`;
