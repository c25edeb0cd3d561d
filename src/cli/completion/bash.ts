import type { Candidates, CommandSpec } from './spec.ts';

/** For bash 3.2 and newer, without the bash-completion package. */
export const bashScript = (
  gpt: CommandSpec,
): string => `# Completion of gpt for bash. In ~/.bashrc: source <(gpt completion bash)

_gpt_words() { COMPREPLY=($(compgen -W "$1" -- "$cur")); }

_gpt_paths() { # -f: files and folders, -d: folders only
  local IFS=$'\\n'
  COMPREPLY=($(compgen "$1" -- "$cur"))
  compopt -o filenames 2>/dev/null
}

_gpt_models() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -G "checkpoints/*/config.json" | sed 's|/config.json$||' | grep -F -- "$cur"))
  ((\${#COMPREPLY[@]})) || _gpt_paths -d
}

_gpt() {
  local cur=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]} command='' i
  # "--flag=value" arrives as three words.
  if [[ $cur == '=' ]]; then
    cur=''
  elif [[ $before == '=' ]]; then
    before=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    [[ \${COMP_WORDS[i]} == -* ]] || { command=\${COMP_WORDS[i]}; break; }
  done
  COMPREPLY=()
  case $command in
    '')${block(gpt)} ;;
${gpt.commands.map((command) => `    ${command.name})${block(command)} ;;`).join('\n')}
  esac
}
complete -F _gpt gpt gpt-trainer
`;

function block({ options, argument }: CommandSpec): string {
  const byValue = new Map<string, string[]>();
  for (const { flags, value } of options)
    if (value !== undefined)
      byValue.set(complete(value), [...(byValue.get(complete(value)) ?? []), ...flags]);
  const values = [...byValue].map(([action, flags]) => `        ${flags.join(' | ')}) ${action}; return ;;`);
  const words = options.flatMap(({ flags }) => flags.filter((flag) => flag.startsWith('--'))).join(' ');
  return `
      case $before in
${[...values, '        *) ;;'].join('\n')}
      esac
      if [[ $cur == -* ]]; then _gpt_words '${words}'; else ${complete(argument ?? 'text')}; fi
     `;
}

function complete(candidates: Candidates): string {
  if (typeof candidates !== 'string') return `_gpt_words '${candidates.join(' ')}'`;
  return { file: '_gpt_paths -f', folder: '_gpt_paths -d', model: '_gpt_models', text: ':' }[candidates];
}
