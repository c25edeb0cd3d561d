/** Choosing the texts to learn from: files, dropped files, a pasted text, or the example. */
import { describeTexts, isBlank, namesOf } from './describe-texts.ts';
import { find, say } from './dom.ts';
import type { Text } from './messages.ts';

let texts: readonly Text[] = [];
/** Number of choices so far, so that a slow file read does not replace a later choice. */
let choices = 0;

/** The chosen texts, in order; initially empty. */
export const chosenTexts = (): readonly Text[] => texts;

/** Connects the controls for choosing texts. @param changed called whenever another text, or none, is chosen */
export function letTextsBeChosen(changed: () => void): void {
  const [input, pasted] = [find('file', HTMLInputElement), find('pasted', HTMLTextAreaElement)];
  const choose = (found: readonly Text[], shown: string): void => {
    texts = found;
    say('chosen', shown);
    changed();
  };
  const receive = (
    files: readonly { readonly name: string; readonly bytes: Promise<ArrayBuffer> }[],
    unreadable: string,
  ): void => {
    pasted.value = '';
    const choice = ++choices;
    choose([], `Reading ${namesOf(files)} …`); // no run starts with the texts chosen before
    const read = files.map(async ({ name, bytes }) => {
      try {
        return { name, bytes: new Uint8Array(await bytes) };
      } catch {
        throw new Error(`${name} ${unreadable}`);
      }
    });
    Promise.all(read).then(
      (found) => {
        if (choice === choices) choose(...describeTexts(found));
      },
      (error: Error) => {
        if (choice === choices) choose([], error.message);
      },
    );
  };
  const readFiles = (files: FileList): void =>
    receive(
      Array.from(files, (file) => ({ name: file.name, bytes: file.arrayBuffer() })),
      'cannot be read. Instead of a folder, drop its files.',
    );

  input.addEventListener('change', () => {
    if (input.files !== null && input.files.length > 0) readFiles(input.files);
    input.value = ''; // so that the same file, changed, can be chosen again
  });
  const choosePasted = (): void => {
    choices++;
    const bytes = new TextEncoder().encode(pasted.value);
    if (isBlank(bytes)) choose([], NO_TEXT);
    else choose(...describeTexts([{ name: 'pasted.txt', bytes }]));
  };
  pasted.addEventListener('input', choosePasted);
  choosePasted(); // it may have been pasted before the program was loaded
  letFilesBeDropped(readFiles);
  find('example').addEventListener('click', () =>
    receive(
      [{ name: 'moby-dick.txt', bytes: fetchExample() }],
      'could not be loaded from the server of this page.',
    ),
  );
}

const NO_TEXT = 'No text yet.';

function letFilesBeDropped(receive: (files: FileList) => void): void {
  for (const event of ['dragenter', 'dragover', 'dragleave', 'drop'] as const)
    document.addEventListener(event, (drag) => {
      if (drag.dataTransfer?.types.includes('Files') !== true) return; // dropped text is left to the element under it
      drag.preventDefault();
      find('drop').classList.toggle('over', event === 'dragenter' || event === 'dragover');
      if (event === 'drop' && drag.dataTransfer.files.length > 0) receive(drag.dataTransfer.files);
    });
}

/** A text that is served with the page. */
async function fetchExample(): Promise<ArrayBuffer> {
  const response = await fetch('assets/moby-dick.txt');
  if (!response.ok) throw new Error(response.statusText);
  return response.arrayBuffer();
}
