/** The texts that `gpt eval` reads, the same for every model. */
import { openCorpus, type Corpus } from '../data/corpus.ts';
import { decodingOf, type DecodingOptions } from '../data/decode-text.ts';
import { describeLeftOut } from '../data/find-files.ts';
import { replacementsIn } from '../data/replacements.ts';
import { noReport } from '../reporting.ts';
import { whileReporting } from './activity.ts';
import { countFiles } from './corpus-summary.ts';
import { warnOfReplacements } from './decoding-options.ts';
import { documentsFor, type DocumentFlags, type ReadingModel } from './document-options.ts';
import { notice, printable } from './terminal.ts';

/** A file on the command line, read for one model. */
export interface ReadFile<T> {
  /** Its name; `stdin` for `-`. */
  readonly file: string;
  readonly corpus: Corpus;
  readonly found: T;
}

/**
 * Reads the files for a model. Each is opened once for all models that divide it in the same way. Reading computes the facts of
 * the corpora.
 *
 * @param files empty for stdin
 */
export function fileReader(files: readonly string[], flags: DecodingOptions & DocumentFlags) {
  const opened = new Map<string, Corpus>();
  let report = noReport;
  const open = (file: string, model: ReadingModel): Corpus => {
    const options = { ...decodingOf(flags), ...documentsFor(file, model, flags) };
    const key = JSON.stringify([file, options, options.chat && model.name]); // each model has its own template
    const known = opened.get(key);
    if (known !== undefined) return known;
    const corpus = openCorpus([file], options, (activity, done) => report(activity, done));
    opened.set(key, corpus);
    noticeOfFiles(file, corpus);
    return corpus;
  };
  const reporting = <T>(work: () => T): T =>
    whileReporting((shown) => {
      report = shown;
      return work();
    });
  let warned = false; // once, not per model
  return <T>(model: ReadingModel, read: (corpus: Corpus) => T): ReadFile<T>[] => {
    const texts = (files.length === 0 ? ['-'] : files).map((path) => {
      const corpus = reporting(() => open(path, model));
      const found = reporting(() => read(corpus));
      const file = path === '-' ? 'stdin' : path;
      warnOfTrainingText(model, file, corpus);
      return { file, corpus, found };
    });
    if (!warned) warnOfReplacements([...opened.values()].map(replacementsIn), flags.encoding);
    warned = true;
    return texts;
  };
}

/** Reports the files of a folder before they are read. */
function noticeOfFiles(file: string, { paths, files, leftOut }: Corpus): void {
  if (files.length === 1 && files[0] === paths[0]) return;
  notice(`${printable(file)}: ${countFiles(files)}${describeLeftOut(leftOut, '; left out: ')}`);
}

/** Warns if a model was trained on the text, which makes the comparison unfair. */
function warnOfTrainingText({ name, record }: ReadingModel, file: string, corpus: Corpus): void {
  if (record?.sha256 !== corpus.facts.sha256) return;
  notice(
    `${printable(name)} was trained on ${printable(file)}; --split val evaluates the part it has not seen.`,
  );
}
