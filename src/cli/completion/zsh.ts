import type { Candidates, CommandSpec, OptionSpec } from './spec.ts';

export const zshScript = (gpt: CommandSpec): string => `#compdef gpt gpt-trainer
# Completion of gpt for zsh. In ~/.zshrc, after compinit: source <(gpt completion zsh)

_gpt_models() {
  local -a models=(checkpoints/*/config.json(N:h))
  ((\${#models})) && compadd -f -- $models
  _files -/
}

_gpt_commands() {
  local -a commands=(
${gpt.commands.map(({ name, summary }) => `    ${quote(`${name}:${summary}`)}`).join('\n')}
  )
  _describe command commands
}

_gpt() {
  local curcontext=$curcontext state line
  typeset -A opt_args
  _arguments -C \\
${gpt.options.map((option) => `    ${argument(option)} \\`).join('\n')}
    '1:command:_gpt_commands' \\
    '*:: :->rest'
  [[ $state == rest ]] || return
  case $words[1] in
${gpt.commands.map(block).join('\n')}
  esac
}

if [[ $funcstack[1] == _gpt ]]; then _gpt "$@"; else compdef _gpt gpt gpt-trainer; fi
`;

function block({ name, options, argument: rest }: CommandSpec): string {
  const lines = options
    .filter((option) => !options.some((other) => isAttached(other, option)))
    .map((option) => `        ${argument(option)}`);
  if (rest !== undefined) lines.push(`        ${quote(`*:argument:${action(rest)}`)}`);
  return `    ${name})
      _arguments \\
${lines.join(' \\\n')}
      ;;`;
}

/** Whether `other` is the option with a value that must be attached: `--json=events` for `--json`. */
const isAttached = (other: OptionSpec, option: OptionSpec): boolean =>
  other.flags[0].startsWith(`${option.flags[0]}=`);

/** `'(-o --out-dir)'{-o+,--out-dir=}'[description]:value:_files -/'`: either flag, its value separate or attached. */
function argument({ flags, description, value, optional }: OptionSpec): string {
  const [, name, word] = /^(--.+)=(.+)$/.exec(flags[0]) ?? [];
  if (word !== undefined) return `${name}=-${quote(`[${description}]::value:(${word})`)}`;
  const colon = optional ? '::' : ':';
  const rest = quote(
    `[${description.replace(/[[\]\\:]/g, '\\$&')}]${value === undefined ? '' : `${colon}value:${action(value)}`}`,
  );
  const typed = flags.map((flag) =>
    value === undefined ? flag : flag + (flag.startsWith('--') ? '=' : '+'),
  );
  return flags.length === 1 ? typed[0] + rest : `'(${flags.join(' ')})'{${typed.join(',')}}${rest}`;
}

function action(candidates: Candidates): string {
  if (typeof candidates !== 'string') return `(${candidates.join(' ')})`;
  return { file: '_files', folder: '_files -/', model: '_gpt_models', text: ' ' }[candidates];
}

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
