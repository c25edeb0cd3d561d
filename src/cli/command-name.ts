/**
 * How this program was started, as a command line that works when pasted. Advice, hints and help are written with `gpt`, which
 * fails under `npx`, from a checkout, or where `gpt` is another program.
 */
import { realpathSync } from 'node:fs';
import { basename, delimiter, dirname, join, relative, resolve, sep } from 'node:path';
import { shellQuoted } from '../shell-quote.ts';

export interface Start {
  /** The script that was started: the launcher's, from its environment variable, or this process's. */
  readonly script: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}

/** The start of a command line: `gpt`, `npx gpt`, `node bin/gpt.js`, `npm run dev --`. */
export function commandNameOf({ script, environment, cwd }: Start): string {
  const name = basename(script ?? 'gpt').replace(/\.(cmd|ps1)$/, '');
  if (script === undefined || script === name) return name; // the shell found it in the PATH
  if (name === 'gpt' || name === 'gpt-trainer') {
    if (dirname(script).endsWith(join('node_modules', '.bin'))) return `npx ${name}`;
    return isFoundInPath(script, environment['PATH']) ? name : pathOf(script, cwd);
  }
  if (name === 'main.ts')
    return environment['npm_lifecycle_event'] === 'dev' ? 'npm run dev --' : `npx tsx ${pathOf(script, cwd)}`;
  // On Windows the names of an installation are scripts that start this file.
  if (script.endsWith(join('node_modules', 'gpt-trainer', 'bin', 'gpt.js')))
    return environment['npm_command'] === 'exec' ? 'npx gpt' : 'gpt';
  return name === 'gpt.js' || name === 'main.js' ? `node ${pathOf(script, cwd)}` : 'gpt';
}

/** Whether the shell, asked for the script's name, would start the script. */
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

/** Relative if the script is inside the current folder; absolute elsewhere. */
function pathOf(script: string, cwd: string): string {
  const path = relative(cwd, resolve(cwd, script));
  const isInside = path !== '' && !path.startsWith('..');
  if (!isInside) return shellQuoted(script);
  return shellQuoted(path.includes(sep) ? path : `.${sep}${path}`);
}

let known: string | undefined;

/** The start of a command line of this process. The launcher, which may have started another Node, says what it was. */
export const commandName = (): string =>
  (known ??= commandNameOf({
    script: process.env['GPT_STARTED_AS'] ?? process.argv[1],
    environment: process.env,
    cwd: process.cwd(),
  }));

const COMMAND =
  /(?<![\w/.-])gpt (?=(?:<command>|--help|train|plan|sample|eval|inspect|compare|report|tokenize|bench|doctor|gradcheck|completion)(?![\w-]))/g;

/** Replaces `gpt` in the command lines of a text by the command that works here. */
export const asStarted = (text: string): string => text.replace(COMMAND, () => `${commandName()} `);
