/** .gitignore rules with the precedence of Git and ripgrep: the nearest folder decides. */
import ignore, { type Ignore } from 'ignore';
import { existsSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { readTextFile } from '../read-file.ts';

const GITIGNORE = '.gitignore';
/** In bytes; the largest in use have about 100 kB. */
const LARGEST_GITIGNORE = 4e6;

/** The rules of a folder, linked to those of the folders above. */
export interface IgnoreRules {
  /** Absolute. */
  readonly folder: string;
  readonly rules: Ignore;
  readonly above: IgnoreRules | undefined;
}

/** Whether a file or folder is ignored, assuming that its parent is not. */
export function isIgnored(path: string, isFolder: boolean, all: IgnoreRules | undefined): boolean {
  for (let at = all; at !== undefined; at = at.above) {
    const name = relative(at.folder, path).replaceAll(sep, '/');
    const { ignored, unignored } = at.rules.test(isFolder ? `${name}/` : name);
    if (ignored || unignored) return ignored;
  }
  return false;
}

/** Adds a folder's rules to those above it. */
export function withRulesOf(folder: string, above: IgnoreRules | undefined): IgnoreRules | undefined {
  const path = join(folder, GITIGNORE);
  if (!existsSync(path)) return above;
  const rules = ignore({ ignoreCase: false }).add(readTextFile(path, LARGEST_GITIGNORE));
  return { folder: resolve(folder), rules, above };
}

/**
 * Rules that apply to a folder given by the user: those of the folders above, up to the root of its Git repository. They
 * are dropped if they ignore the folder itself, since texts are often kept out of Git.
 */
export function rulesAbove(folder: string): IgnoreRules | undefined {
  const named = resolve(folder);
  const parents: string[] = [];
  for (let at = named; !existsSync(join(at, '.git')); at = dirname(at)) {
    if (dirname(at) === at) return undefined; // not in a repository
    parents.unshift(dirname(at));
  }
  let rules: IgnoreRules | undefined;
  for (const [i, parent] of parents.entries()) {
    rules = withRulesOf(parent, rules);
    if (isIgnored(parents[i + 1] ?? named, true, rules)) return undefined;
  }
  return rules;
}
