/** One-line description of a corpus. */
import type { Corpus, CorpusFacts } from '../data/corpus.ts';
import { describeLeftOut } from '../data/find-files.ts';
import { formatBytes, formatCountOf } from '../format.ts';
import { shellQuoted } from '../shell-quote.ts';
import { printable } from './terminal.ts';

type Division = Pick<Corpus, 'documents'> & Pick<CorpusFacts, 'documentCount' | 'badLines'>;

type Description = Pick<Corpus, 'paths' | 'files' | 'leftOut'> &
  Division & {
    readonly bytes: number;
    readonly characters: number | undefined;
  };

/** For example 'chapters/, 12 files, 1.20 MB, 1,200,100 characters; left out: 3 binary, 1 hidden'. */
export function describeCorpus({
  paths,
  files,
  leftOut,
  bytes,
  characters,
  ...division
}: Description): string {
  const isFile = files.length === 1 && files[0] === paths[0];
  const parts = [
    ...(paths.length === 1 ? [paths[0] === '-' ? 'stdin' : printable(paths[0])] : []),
    ...(isFile ? [] : [countFiles(files)]),
    formatBytes(bytes),
    ...(characters === undefined ? [] : [formatCountOf(characters, 'character')]),
    ...describeDocuments(division),
  ];
  return parts.join(', ') + describeLeftOut(leftOut, '; left out: ');
}

/** For example '4,000 documents (jsonl)' and '1 bad line left out'. */
function describeDocuments({ documents, documentCount, badLines }: Division): string[] {
  if (documentCount === undefined) return [];
  return [
    `${formatCountOf(documentCount, 'document')} (${printable(documents)})`,
    ...(badLines === 0 ? [] : [`${formatCountOf(badLines, 'bad line')} left out`]),
  ];
}

/** The same for `--json`. */
export const documentsJson = ({ documents, documentCount, badLines }: Division) => ({
  documents,
  document_count: documentCount ?? null,
  bad_lines: badLines,
});

export const countFiles = ({ length }: readonly string[]): string => formatCountOf(length, 'file');

/** For a corpus that will be split: the validation split is its end, not random lines. */
export const SORTED =
  'the lines are sorted, so the validation split, the end of the list, may be unlike the rest.';

/** How to remove CRLF line ends, each of which a model would otherwise learn as two characters. */
export function againstCrlf([file, ...others]: Corpus['files']): string {
  const isOneFile = file !== '-' && others.length === 0;
  return isOneFile
    ? `To remove them: tr -d '\\r' < ${shellQuoted(file)} > unix.txt`
    : 'dos2unix removes them from files.';
}

/** Suits independent lines such as names; logs and stories must keep their order. */
export const AGAINST_SORTED =
  'If the order of the lines does not matter, they are documents, which are shuffled: --documents lines';
