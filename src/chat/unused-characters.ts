/** Characters that do not occur in given texts and can serve as marks in them. */

/** Unicode's noncharacters, which are for internal use by programs, then its private use area. */
const RANGES = [
  [0xfdd0, 0xfdef],
  [0xe000, 0xf8ff],
] as const;

/** The first characters of one UTF-16 unit that occur in none of the texts; fewer if the texts have nearly all of them. */
export function unusedCharacters(texts: readonly string[], count: number): string[] {
  const found: string[] = [];
  for (const [first, last] of RANGES)
    for (let point = first; point <= last && found.length < count; point++) {
      const character = String.fromCharCode(point);
      if (!texts.some((text) => text.includes(character))) found.push(character);
    }
  return found;
}
