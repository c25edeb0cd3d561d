/**
 * Finds the text files of a folder by ripgrep's rules, skipping models and runs. Hidden files, node_modules and files in a
 * .gitignore are skipped; symbolic links are followed.
 */
import { readdirSync, statSync, type BigIntStats } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Report } from '../reporting.ts';
import type { DecodingOptions } from './decode-text.ts';
import { isIgnored, rulesAbove, withRulesOf, type IgnoreRules } from './ignore-rules.ts';
import { whyNoText, type NoText } from './text-detection.ts';

/**
 * Why a file or folder is skipped. `duplicates` were reached before through another path; `special` are pipes and broken
 * links.
 */
export type LeftOutReason =
  NoText | 'ignored' | 'hidden' | 'node_modules' | 'models' | 'duplicates' | 'special';

/** Number of skipped files by reason. A folder counts as one. */
export type LeftOut = { readonly [reason in LeftOutReason]?: number };

const LEFT_OUT: { readonly [reason in LeftOutReason]: string } = {
  binary: 'binary',
  encoding: 'in another encoding',
  ignored: 'ignored by .gitignore',
  hidden: 'hidden',
  node_modules: 'node_modules',
  models: 'of models and runs',
  duplicates: 'read already',
  special: 'broken links or pipes',
};

/** For example '3 binary, 1 hidden'. @param before prefix, used if anything was skipped */
export function describeLeftOut(leftOut: LeftOut, before = ''): string {
  const reasons = Object.keys(LEFT_OUT) as LeftOutReason[];
  const parts = reasons
    .filter((reason) => reason in leftOut)
    .map((reason) => `${leftOut[reason]} ${LEFT_OUT[reason]}`);
  return parts.length === 0 ? '' : before + parts.join(', ');
}

export interface FoundFiles {
  /** Paths including the folder's, in natural order: ch2 before ch10. */
  readonly files: readonly string[];
  /** Total size. */
  readonly bytes: number;
  readonly leftOut: LeftOut;
}

/**
 * @param isNew tells by device and inode whether a file or folder is visited for the first time, which also ends link
 * cycles
 * @throws a system error for anything unreadable
 */
export function findTextFiles(
  root: string,
  options: DecodingOptions,
  isNew: (stat: BigIntStats) => boolean,
  report: Report,
): FoundFiles {
  const files: string[] = [];
  let bytes = 0;
  const leftOut: Partial<Record<LeftOutReason, number>> = {};
  const leave = (reason: LeftOutReason): void => {
    leftOut[reason] = (leftOut[reason] ?? 0) + 1;
  };

  function visitFolder(folder: string, above: IgnoreRules | undefined): void {
    const names = readdirSync(folder);
    const isModel = isModelFolder(new Set(names));
    if (isModel && folder !== root) return leave('models');
    const rules = withRulesOf(folder, above);
    const hasTokens = names.includes('tokenizer.json') && names.includes('tokens.bin');
    for (const name of names.sort(byName)) {
      if (name.startsWith('.')) leave('hidden');
      else if (name === 'node_modules') leave('node_modules');
      else if ((isModel || hasTokens) && FILES_OF_MODELS.test(name)) leave('models');
      else visit(join(folder, name), rules);
    }
  }

  function visit(path: string, rules: IgnoreRules | undefined): void {
    const stat = statOf(path);
    if (stat === undefined || !(stat.isFile() || stat.isDirectory())) return leave('special');
    if (rules !== undefined && isIgnored(resolve(path), stat.isDirectory(), rules)) return leave('ignored');
    if (!isNew(stat)) return leave('duplicates');
    if (stat.isDirectory()) return visitFolder(path, rules);
    report(`looking for text files in ${root}`);
    const reason = whyNoText(path, options);
    if (reason !== undefined) return leave(reason);
    files.push(path);
    bytes += Number(stat.size);
  }

  isNew(statSync(root, { bigint: true }));
  visitFolder(root, rulesAbove(root));
  return { files, bytes, leftOut };
}

/** Follows links; undefined for a broken or circular one. */
function statOf(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ELOOP') return undefined;
    throw error;
  }
}

const collator = new Intl.Collator('en', { numeric: true });

/** Natural order; ties such as 1 and 01 are broken by UTF-16 units. */
const byName = (a: string, b: string): number => collator.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);

const WEIGHTS = /[.]safetensors([.]index[.]json)?$|^pytorch_model.*[.]bin$|^gpt_trainer_state[.]json$/;

/** A run, checkpoint or other model folder, recognized by the files in it. */
const isModelFolder = (names: ReadonlySet<string>): boolean =>
  (names.has('config.json') && (names.has('tokenizer.json') || names.has('vocab.json'))) ||
  ((names.has('config.json') || names.has('adapter_config.json')) &&
    [...names].some((name) => WEIGHTS.test(name)));

/** Files in a model folder that are not the user's text, in case a model folder itself is given. */
const FILES_OF_MODELS =
  /^((adapter_|generation_|tokenizer_)?config|tokenizer|vocab|special_tokens_map|added_tokens|(gpt_)?trainer_state)[.]json$|^merges[.]txt$|^(metrics|samples|speed)[.]jsonl$|^report[.]html$|[.]index[.]json$/;
