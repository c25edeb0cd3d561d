/** Wraps streamed text at words. */
import stringWidth from 'string-width';

type Style = (text: string) => string;

export interface WordWrap {
  /**
   * Returns the output for the next chunk, which may end anywhere. A word is printed as it grows; one that reaches the
   * margin is erased and printed again on the next line.
   */
  push(text: string, style?: Style): string;
}

const eraseBack = (columns: number): string => `\u001b[${columns}D\u001b[K`;

/** Starts at the first column. @param columns current width of the terminal, queried for each chunk */
export function createWordWrap(columns: () => number): WordWrap {
  let column = 0;
  let word = ''; // text since the last white space, styled
  let wordWidth = 0;
  return {
    push(text, style = String) {
      const width = Math.max(1, columns() - 1); // terminals differ in whether they wrap at the last column
      let shown = '';
      let run = ''; // characters printed together, in one style
      const flush = (): void => {
        if (run !== '') shown += style(run);
        run = '';
      };
      for (const character of text) {
        if (/\s/u.test(character)) {
          [word, wordWidth] = ['', 0];
          if (character === '\n' || column >= width) {
            flush();
            shown += '\n';
            column = 0;
          } else {
            run += character;
            column = character === '\t' ? Math.min(width, 8 * (Math.floor(column / 8) + 1)) : column + 1;
          }
          continue;
        }
        const wide = stringWidth(character);
        if (column + wide > width) {
          const fits = wordWidth > 0 && wordWidth < column && wordWidth + wide <= width;
          flush();
          shown += fits ? `${eraseBack(wordWidth)}\n${word}` : '\n';
          if (!fits) [word, wordWidth] = ['', 0];
          column = wordWidth;
        }
        run += character;
        word += style(character);
        wordWidth += wide;
        column += wide;
      }
      flush();
      return shown;
    },
  };
}
