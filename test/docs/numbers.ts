/** The numbers of a page, and those that a script prints. */

/** Numbers with a decimal point or thousands separators, percent signs included; blocks of code are left out. */
export const numbersOf = (page: string): string[] =>
  Array.from(
    page.replaceAll(/^```[^]*?^```$/gm, '').matchAll(/(?<![\w.,/-])\d+(?:\.\d+|(?:,\d{3})+)%?(?![\w])/g),
    ([text]) => text,
  );

/** Both 5.882e-5 and its mantissa: pages write 0.0000588, or 5.88 · 10⁻⁵. */
export const printedNumbers = (output: string): number[] =>
  Array.from(output.matchAll(/\d+(?:\.\d+)?(?:e[+-]\d+)?/g), ([text]) => text).flatMap((text) => [
    Number(text),
    Number(text.split('e')[0]),
  ]);

/** Numbers of a page that were not printed, rounded as the page rounds them, and are not known from elsewhere. */
export const staleNumbers = (
  page: string,
  printed: readonly number[],
  fromElsewhere: readonly string[],
): string[] =>
  numbersOf(page).filter((text) => {
    if (fromElsewhere.includes(text)) return false;
    const plain = text.replaceAll(/[,%]/g, '');
    const digits = plain.split('.')[1]?.length ?? 0;
    return !printed.some((value) => value.toFixed(digits) === plain);
  });
