/**
 * How a text is divided into documents: `--documents`. The value is a keyword, with the name of a field or column after a
 * colon, or the text that separates documents.
 */
import type { OptionType } from '../../values.ts';
import { isChatFile } from './chat-file.ts';

/** @see formatOf for the values */
export type DocumentFormat =
  | { readonly kind: 'whole' | 'files' | 'lines' | 'paragraphs' | 'chat' }
  | { readonly kind: 'jsonl'; readonly field: string }
  | { readonly kind: 'csv'; readonly column: string }
  | { readonly kind: 'separator'; readonly text: string };

const KEYWORDS = ['whole', 'files', 'lines', 'paragraphs', 'chat'] as const;
/** Default field or column of the text. */
const TEXT = 'text';

export const documentsValue: OptionType<string> = {
  expected:
    'whole, files, lines, paragraphs, chat, jsonl[:FIELD], csv[:COLUMN], or a separator with a character other than letters',
  is: (value) => typeof value === 'string' && formatOf(value) !== undefined,
  read: (text) => (formatOf(text) === undefined ? undefined : text),
  completes: [...KEYWORDS, 'jsonl', 'csv'],
};

/** Undefined for an invalid value. A separator may contain \n and \t; letters alone are taken for a mistyped keyword. */
function formatOf(value: string): DocumentFormat | undefined {
  const keyword = KEYWORDS.find((word) => word === value);
  if (keyword !== undefined) return { kind: keyword };
  const [, kind, name = TEXT] = /^(jsonl|csv)(?::(.+))?$/su.exec(value) ?? [];
  if (kind === 'jsonl') return { kind, field: name };
  if (kind === 'csv') return { kind, column: name };
  if (/^[\p{L}\p{M}]*:?$/u.test(value) || !value.isWellFormed() || value.includes('\0')) return undefined;
  return { kind: 'separator', text: value.replaceAll(String.raw`\n`, '\n').replaceAll(String.raw`\t`, '\t') };
}

/** @param value accepted by `documentsValue` */
export function documentFormat(value: string): DocumentFormat {
  const format = formatOf(value);
  if (format === undefined) throw new Error(`not a format of documents: ${value}`);
  return format;
}

/** Conversations (chat/conversation.ts). */
export const CHAT = 'chat';

/** True for formats made of records (JSON lines, rows of CSV), the only ones that can have bad lines. */
export const isOfRecords = (documents: string): boolean =>
  ['jsonl', 'csv', CHAT].includes(documentFormat(documents).kind);

/** Formats by the extension of files. */
const byExtension: readonly (readonly [extension: RegExp, documents: string])[] = [
  [/\.(jsonl|ndjson)$/iu, 'jsonl'],
  [/\.(csv|tsv)$/iu, 'csv'],
];

/**
 * The format implied by the files of a corpus: that of their extension if all share it, else one document per file. JSON
 * lines are conversations if the first one is.
 */
export function impliedDocuments(files: readonly string[]): string {
  const known = byExtension.find(([extension]) => files.every((file) => extension.test(file)));
  if (known !== undefined) return known[1] === 'jsonl' && isChatFile(files[0]) ? CHAT : known[1];
  return files.length > 1 ? 'files' : 'whole';
}
