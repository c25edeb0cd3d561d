/** A stretch of ordinary text, and the special token behind it, if one follows. */
export interface Stretch {
  readonly text: string;
  readonly special: string | undefined;
}

/**
 * Finds special tokens, such as `<|endoftext|>`, in a text that comes in pieces: the leftmost, and of those that start there
 * the longest. What may be the beginning of one waits for the next piece.
 *
 * @param tokens none of them empty
 */
export function specialTokenSplitter(
  tokens: readonly string[],
): (piece: string, final: boolean) => Stretch[] {
  if (tokens.length === 0) return (text) => [{ text, special: undefined }];
  const longestFirst = tokens.toSorted((a, b) => b.length - a.length);
  const pattern = new RegExp(longestFirst.map((token) => escape(token)).join('|'), 'g');
  /** From where on, at the earliest, the text may be the beginning of a token that goes on behind its end. */
  const openEnd = (text: string, from: number): number => {
    for (let i = Math.max(from, text.length - longestFirst[0].length + 1); i < text.length; i++) {
      const rest = text.slice(i);
      if (tokens.some((token) => token.length > rest.length && token.startsWith(rest))) return i;
    }
    return text.length;
  };
  let held = '';
  return (piece, final) => {
    const text = held + piece;
    const stretches: Stretch[] = [];
    let from = 0;
    let end = final ? text.length : openEnd(text, 0);
    for (const { 0: special, index } of text.matchAll(pattern)) {
      if (index >= end) break;
      stretches.push({ text: text.slice(from, index), special });
      from = index + special.length;
      if (from > end) end = openEnd(text, from);
    }
    stretches.push({ text: text.slice(from, end), special: undefined });
    held = text.slice(end);
    return stretches;
  };
}

const escape = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
