/**
 * Shuffles and splits the documents in a sequence of token ids, each of which ends with the end-of-text token. Shuffling
 * makes the validation split representative, and the split falls between documents. Their order does not depend on the seed
 * of a run, so that runs with different seeds are evaluated on the same documents.
 */
import { permuted } from '../permutation.ts';

/** The ids of a text that is divided into documents. */
export interface DocumentIds {
  readonly ids: Uint16Array | Uint32Array;
  /** The token that ends a document. */
  readonly endId: number;
  /** Loss mask: 1 for tokens that count in the loss, 0 for others; undefined: all count. */
  readonly counted?: Uint8Array | undefined;
}

/** Tokens `start` to `end` (exclusive) of a text. */
export interface Stretch {
  readonly start: number;
  readonly end: number;
}

/** Seed and number of the permutation (permutation.ts). Epochs have other numbers: there are fewer than 2³¹. */
const [SEED, NUMBER] = [0, 0x8000_0000];

/**
 * A shuffled text as stretches of the original. The first stretch stays in front: it ends with the end token that precedes
 * the first document, as one precedes every document.
 */
export function shuffledDocuments({ ids, endId }: DocumentIds): Stretch[] {
  const stretches: Stretch[] = [];
  let start = 0;
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] !== endId && i + 1 < ids.length) continue;
    stretches.push({ start, end: i + 1 });
    start = i + 1;
  }
  const [front, ...documents] = stretches;
  const count = documents.length;
  return [front, ...documents.map((_, i) => documents[permuted(i, count, SEED, NUMBER)])];
}

/** The ids with their documents shuffled. */
export function shuffledIds({ ids, endId, counted }: DocumentIds): DocumentIds {
  const shuffled = ids.slice();
  const shuffledCounted = counted?.slice();
  let length = 0;
  for (const { start, end } of shuffledDocuments({ ids, endId })) {
    shuffled.set(ids.subarray(start, end), length);
    if (counted !== undefined) shuffledCounted!.set(counted.subarray(start, end), length);
    length += end - start;
  }
  return { ids: shuffled, endId, counted: shuffledCounted };
}

/** Fraction by which the size of the validation split may differ from the requested one to keep documents whole. */
const TOLERANCE = 0.5;

/** Ids in memory or in a file. */
interface Ids {
  readonly length: number;
  slice(start: number, end: number): ArrayLike<number>;
}

/**
 * Where to split a text: between two documents if a boundary is within `TOLERANCE`, else within a document. The validation
 * split begins with the end token of the preceding document, which is in the training split, too.
 *
 * @param endId the token that ends a document
 * @param wanted where the validation split would begin
 */
export function documentCut(
  ids: Ids,
  endId: number,
  wanted: number,
): { readonly train: number; readonly validation: number } {
  const most = TOLERANCE * (ids.length - wanted);
  const idAt = chunkReader(ids);
  for (let distance = 0; distance < most; distance++)
    for (const cut of [wanted - distance, wanted + distance])
      if (cut > 1 && cut < ids.length && idAt(cut - 1) === endId) return { train: cut, validation: cut - 1 };
  return { train: wanted, validation: wanted };
}

/** In tokens. */
const CHUNK = 65_536;

/** Random access to single ids through a few cached chunks; `documentCut` searches in two directions at once. */
function chunkReader(ids: Ids): (at: number) => number {
  const read = new Map<number, ArrayLike<number>>();
  return (at) => {
    const number = Math.floor(at / CHUNK);
    let chunk = read.get(number);
    if (chunk === undefined) {
      if (read.size >= 4) read.clear();
      chunk = ids.slice(number * CHUNK, Math.min((number + 1) * CHUNK, ids.length));
      read.set(number, chunk);
    }
    return chunk[at - number * CHUNK];
  };
}
