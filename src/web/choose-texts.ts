/** Choosing the texts to learn from: files, dropped files, a pasted text, or the example. */
import { find, say } from './dom.ts';
import type { Text } from './messages.ts';
import { inFull } from './numbers.ts';

let texts: readonly Text[] = [];
/** Choices so far: a file that is read slowly does not replace a later choice. */
let choices = 0;

/** The texts that were chosen, in their order; none before that. */
export const chosenTexts = (): readonly Text[] => texts;

/** Lets texts be chosen. @param changed called whenever another text, or none, is chosen */
export function letTextsBeChosen(changed: () => void): void {
  const [input, pasted, drop] = [
    find('file', HTMLInputElement),
    find('pasted', HTMLTextAreaElement),
    find('drop'),
  ];
  const choose = (found: readonly Text[], shown: string): void => {
    texts = found;
    say('chosen', shown);
    changed();
  };
  const receive = (
    files: readonly { readonly name: string; readonly bytes: Promise<ArrayBuffer> }[],
  ): void => {
    pasted.value = '';
    const choice = ++choices;
    const read = files.map(async ({ name, bytes }) => {
      try {
        return { name, bytes: new Uint8Array(await bytes) };
      } catch {
        throw new Error(`${name} cannot be read. Of a folder, drop the files.`);
      }
    });
    Promise.all(read).then(
      (found) => {
        if (choice === choices) choose(...described(found));
      },
      (error: Error) => {
        if (choice === choices) choose([], error.message);
      },
    );
  };
  const readFiles = (files: FileList): void =>
    receive(Array.from(files, (file) => ({ name: file.name, bytes: file.arrayBuffer() })));

  input.addEventListener('change', () => {
    if (input.files !== null && input.files.length > 0) readFiles(input.files);
    input.value = ''; // so that the same file, changed, can be chosen again
  });
  const choosePasted = (): void => {
    choices++;
    const bytes = new TextEncoder().encode(pasted.value);
    if (isBlank(bytes)) choose([], NO_TEXT);
    else choose(...described([{ name: 'pasted.txt', bytes }]));
  };
  pasted.addEventListener('input', choosePasted);
  choosePasted(); // it may have been pasted before the program was loaded
  for (const event of ['dragenter', 'dragover', 'dragleave', 'drop'] as const)
    document.addEventListener(event, (drag) => {
      if (drag.dataTransfer?.types.includes('Files') !== true) return; // text goes where it is dropped
      drag.preventDefault();
      drop.classList.toggle('over', event === 'dragenter' || event === 'dragover');
      if (event === 'drop' && drag.dataTransfer.files.length > 0) readFiles(drag.dataTransfer.files);
    });
  find('example').addEventListener('click', () =>
    receive([{ name: 'moby-dick.txt', bytes: fetchExample() }]),
  );
}

const NO_TEXT = 'No text yet.';

/** A text that is served with the page. */
async function fetchExample(): Promise<ArrayBuffer> {
  const response = await fetch('assets/moby-dick.txt');
  if (!response.ok) throw new Error(response.statusText);
  return response.arrayBuffer();
}

/** Nothing but ASCII spaces and line breaks. */
const isBlank = (bytes: Uint8Array): boolean =>
  bytes.every((byte) => byte === 32 || (byte >= 9 && byte <= 13));

/** The texts with something in them, and what the page says of all. */
function described(found: readonly Text[]): [texts: readonly Text[], shown: string] {
  const filled = found.filter(({ bytes }) => !isBlank(bytes));
  const size = filled.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const sentences = [
    ...(filled.length === 0
      ? []
      : [
          `${filled.map(({ name }) => name).join(' and ')}, ${inFull(size)} bytes${found.length > 1 ? ' together' : ''}`,
        ]),
    ...found
      .filter((text) => !filled.includes(text))
      .map(({ name, bytes }) => `${name} ${bytes.length === 0 ? 'is empty' : 'has only blanks'}`),
  ];
  return [filled, `${sentences.join('. ')}.`];
}
