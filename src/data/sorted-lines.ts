/** Notices a sorted list, whose end is unlike the rest: held out for validation, it misjudges the model. */

/** Shorter lists may be in order by chance. */
const FEWEST_LINES = 100;
/** Share of neighbouring lines that are in order in a sorted list; another collation disagrees about a few. */
const IN_ORDER = 0.99;
/** Pairs out of order, beside those that IN_ORDER allows, after which a text is taken to be unsorted and no longer looked at. */
const PATIENCE = 50;

interface Order {
  readonly compare: (a: string, b: string) => number;
  wrong: number;
}

export interface SortedLines {
  /** @param piece of the text, cut anywhere */
  push(piece: string): void;
  /**
   * Whether the text is a sorted list, once it has been pushed to its end. Empty and repeated lines don't count. Lines that
   * begin with digits or signs are numbered or dated records, whose order is not to be undone.
   */
  isSorted(): boolean;
}

/** Looks for lines in ascending order, by UTF-16 units as `LC_ALL=C sort` has them, or as dictionaries do. */
export function sortedLines(): SortedLines {
  const collator = new Intl.Collator('en');
  let orders: Order[] = [
    { compare: (a, b) => (a < b ? -1 : 1), wrong: 0 },
    { compare: (a, b) => collator.compare(a, b), wrong: 0 },
  ];
  let pairs = 0;
  let withLetter = 0;
  let before = '';
  let held = ''; // a line that the next piece may continue
  const pushLine = (line: string): void => {
    if (line === '' || line === '\r' || line === before) return;
    if (before !== '') {
      pairs++;
      for (const order of orders) if (order.compare(before, line) > 0) order.wrong++;
      orders = orders.filter(({ wrong }) => wrong <= PATIENCE + (1 - IN_ORDER) * pairs);
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
      held += piece.slice(start);
    },
    isSorted() {
      pushLine(held);
      held = '';
      const hasNames = withLetter > (pairs + 1) / 2;
      return (
        hasNames && pairs + 1 >= FEWEST_LINES && orders.some(({ wrong }) => wrong <= (1 - IN_ORDER) * pairs)
      );
    },
  };
}
