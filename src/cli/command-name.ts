/**
 * How this program was started, as a command line that works when pasted. Hints and help are written with `gpt`, which does
 * not work under `npx`, from a checkout, or where `gpt` is another program.
 */
import { realpathSync } from 'node:fs';
import { basename, delimiter, dirname, join, relative, resolve, sep } from 'node:path';
import { shellQuoted } from '../shell-quote.ts';

export interface Invocation {
  /** The script that was started, from the launcher's environment variable or this process. */
  readonly script: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}

/** Start of a command line: `gpt`, `npx gpt`, `node bin/gpt.js`, `npm run dev --`. */
export function commandNameOf({ script, environment, cwd }: Invocation): string {
  const name = basename(script ?? 'gpt').replace(/\.(cmd|ps1)$/, '');
  if (script === undefined || script === name) return name; // found through the PATH
  if (name === 'gpt' || name === 'gpt-trainer') {
    if (dirname(script).endsWith(join('node_modules', '.bin'))) return `npx ${name}`;
    return isFoundInPath(script, environment['PATH']) ? name : pathOf(script, cwd);
  }
  if (name === 'main.ts')
    return environment['npm_lifecycle_event'] === 'dev' ? 'npm run dev --' : `npx tsx ${pathOf(script, cwd)}`;
  // On Windows, an installed command is a script that starts this file.
  if (script.endsWith(join('node_modules', 'gpt-trainer', 'bin', 'gpt.js')))
    return environment['npm_command'] === 'exec' ? 'npx gpt' : 'gpt';
  return name === 'gpt.js' || name === 'main.js' ? `node ${pathOf(script, cwd)}` : 'gpt';
}

/** Whether the shell resolves the script's name to the script. */
function isFoundInPath(script: string, path = ''): boolean {
  const first = path
    .split(delimiter)
    .map((folder) => realPath(join(folder, basename(script))))
    .find((found) => found !== undefined);
  return first !== undefined && first === realPath(script);
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

/** Relative inside the current folder, absolute otherwise. */
function pathOf(script: string, cwd: string): string {
  const path = relative(cwd, resolve(cwd, script));
  const isInside = path !== '' && !path.startsWith('..');
  if (!isInside) return shellQuoted(script);
  return shellQuoted(path.includes(sep) ? path : `.${sep}${path}`);
}

let known: string | undefined;

/** Start of a command line for this process. The launcher, which may have started another Node, passes it on. */
export const commandName = (): string =>
  (known ??= commandNameOf({
    script: process.env['GPT_STARTED_AS'] ?? process.argv[1],
    environment: process.env,
    cwd: process.cwd(),
  }));

/** All commands. Not taken from program.ts, which imports this module. */
export const COMMAND_NAMES: readonly string[] =
  'train plan sample chat eval inspect compare report list rm prune export tokenize bench doctor gradcheck completion'.split(
    ' ',
  );

const COMMAND = new RegExp(
  String.raw`(?<![\w/.-])gpt (?=(?:<command>|--help|${COMMAND_NAMES.join('|')})(?![\w-]))`,
  'g',
);

/** Replaces `gpt` in command lines within a text. */
export const asStarted = (text: string): string => text.replace(COMMAND, () => `${commandName()} `);
