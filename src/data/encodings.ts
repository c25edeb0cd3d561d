/**
 * Names of character encodings: the labels of the WHATWG Encoding Standard (encoding.spec.whatwg.org), which `TextDecoder`
 * accepts.
 */
import { UsageError } from '../errors.ts';
import { shownJson } from '../json.ts';
import { optionName } from '../messages.ts';

/** The default. UTF-16 is detected by its byte order mark. */
export const UTF8 = 'utf-8';

/** The encodings of the standard, and `latin1`, a label better known than its canonical name windows-1252. */
const NAMES = `
  utf-8 utf-16le utf-16be latin1 windows-1252
  windows-1250 windows-1251 windows-1253 windows-1254 windows-1255 windows-1256 windows-1257 windows-1258 windows-874
  iso-8859-2 iso-8859-3 iso-8859-4 iso-8859-5 iso-8859-6 iso-8859-7 iso-8859-8 iso-8859-8-i
  iso-8859-10 iso-8859-13 iso-8859-14 iso-8859-15 iso-8859-16
  koi8-r koi8-u macintosh x-mac-cyrillic ibm866
  gbk gb18030 big5 shift_jis euc-jp iso-2022-jp euc-kr`
  .trim()
  .split(/\s+/);

/** Encodings that this Node supports; Node 22 lacks ISO 8859-16. */
export const encodingNames = (): readonly string[] =>
  NAMES.filter((name) => canonicalEncoding(name) !== undefined);

/** Names used by Python, iconv and Windows that are not labels of the standard. */
const ALIASES: Readonly<Record<string, string>> = {
  macroman: 'macintosh',
  maccyrillic: 'x-mac-cyrillic',
  win1250: 'windows-1250',
  win1251: 'windows-1251',
  win1252: 'windows-1252',
  ansi: 'windows-1252',
  isolatin1: 'latin1',
  cp65001: UTF8,
  cp1200: 'utf-16le',
  cp1201: 'utf-16be',
  ucs2: 'utf-16le',
  cp874: 'windows-874',
  cp932: 'shift_jis',
  cp936: 'gbk',
  cp949: 'euc-kr',
  cp950: 'big5',
};

/** Labels that suggestions are chosen from. */
const LABELS = [...NAMES, 'utf-16', 'latin2', 'latin9', 'cp1252', 'iso-8859-1', 'koi8', 'gb2312', 'cp866'];

/**
 * The canonical name behind a label: `windows-1252` for `latin1`.
 *
 * @returns undefined for an unknown label
 */
export function canonicalEncoding(label: string): string | undefined {
  try {
    return new TextDecoder(label).encoding;
  } catch {
    return undefined;
  }
}

/** The known label closest to an unknown one: `latin1` for `latin-1`, `macintosh` for `mac-roman`. */
export function similarEncoding(label: string): string | undefined {
  const plain = (name: string): string => name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
  const typed = plain(label);
  const found = LABELS.find((name) => plain(name) === typed);
  return found ?? (Object.hasOwn(ALIASES, typed) ? ALIASES[typed] : undefined);
}

/** A selection of names that fits in a one-line hint. */
const KNOWN =
  'known are utf-8, utf-16le, utf-16be, latin1, windows-1250 to 1258, iso-8859-2 to 16, koi8-r, koi8-u, macintosh, ibm866, gb18030, big5, shift_jis, euc-jp, euc-kr';

/** The hint for an unknown label. */
export function encodingHint(label: string, similar = similarEncoding(label)): string {
  if (similar !== undefined) return `did you mean ${similar}?`;
  return `${KNOWN}; convert other encodings to UTF-8 with iconv`;
}

/** The canonical name behind a label. @throws UsageError for an unknown label */
export function requireEncoding(label: string): string {
  const name = canonicalEncoding(label);
  if (name === undefined)
    throw new UsageError(
      'bad-option-value',
      `${optionName('encoding')}: ${shownJson(label)} is not a known encoding`,
      {
        hint: encodingHint(label),
      },
    );
  return name;
}

/** Legacy encodings with multi-byte characters. */
const MULTIBYTE = ['gbk', 'gb18030', 'big5', 'shift_jis', 'euc-jp', 'iso-2022-jp', 'euc-kr'];

/** East Asian encodings, whose characters have one to four bytes. */
export const isMultibyte = (encoding: string): boolean => MULTIBYTE.includes(encoding);
