/** Detects sorted lists. Their end is unlike the rest, so as a validation split it misjudges the model. */

/** Shorter lists may be in order by chance. */
const MIN_LINES = 100;
/** Share of adjacent lines in order that makes a list sorted; different collations disagree about a few. */
const IN_ORDER = 0.99;
/** Number of inversions beyond those IN_ORDER allows after which the text counts as unsorted and is no longer examined. */
const MAX_EXTRA_INVERSIONS = 50;

/** Lines are compared by at least this many of their first UTF-16 units; a whole text may be one line. */
const COMPARED = 4096;

interface Order {
  readonly compare: (a: string, b: string) => number;
  wrong: number;
}

export interface SortedLines {
  /** @param piece a chunk of any size */
  push(piece: string): void;
  /**
   * Valid at the end of the text. Empty and repeated lines are ignored. Lines that start with digits or signs count as
   * numbered or dated records, which should stay in order.
   */
  isSorted(): boolean;
}

/** Accepts ascending order by UTF-16 units, as in `LC_ALL=C sort`, or as in dictionaries. */
export function sortedLines(): SortedLines {
  const collator = new Intl.Collator('en');
  let orders: Order[] = [
    { compare: (a, b) => (a < b ? -1 : 1), wrong: 0 },
    { compare: (a, b) => collator.compare(a, b), wrong: 0 },
  ];
  let pairs = 0;
  let withLetter = 0;
  let before = '';
  let held = ''; // a line that may continue in the next chunk
  const pushLine = (line: string): void => {
    if (line === '' || line === '\r' || line === before) return;
    if (before !== '') {
      pairs++;
      for (const order of orders) if (order.compare(before, line) > 0) order.wrong++;
      orders = orders.filter(({ wrong }) => wrong <= MAX_EXTRA_INVERSIONS + (1 - IN_ORDER) * pairs);
    }
    before = line;
    if (/^\p{L}/u.test(line)) withLetter++;
  };
  return {
    push(piece) {
      if (orders.length === 0) return;
      let start = 0;
      for (let end = piece.indexOf('\n'); end >= 0; end = piece.indexOf('\n', start)) {
        pushLine(held + piece.slice(start, end));
        if (orders.length === 0) return;
        held = '';
        start = end + 1;
      }
      if (held.length < COMPARED) held += piece.slice(start);
    },
    isSorted() {
      pushLine(held);
      held = '';
      const hasNames = withLetter > (pairs + 1) / 2;
      return (
        hasNames && pairs + 1 >= MIN_LINES && orders.some(({ wrong }) => wrong <= (1 - IN_ORDER) * pairs)
      );
    },
  };
}
