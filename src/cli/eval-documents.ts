/** `gpt eval --per-document`: the loss of each document, as JSON lines. */
import { baseOf } from '../checkpoint/open-model.ts';
import { CHAT } from '../data/documents/format.ts';
import { UsageError } from '../errors.ts';
import {
  documentsOf,
  evaluateDocuments,
  tokenizedDocuments,
  type DocumentEvaluation,
  type TokenizedDocument,
} from '../evaluate/evaluate-documents.ts';
import type { TokenizedText } from '../evaluate/tokenized-text.ts';
import { endOfTextId } from '../tokenizer/tokenizer.ts';
import { readingModel, type ReadingModel } from './document-options.ts';
import { fileReader } from './eval-corpora.ts';
import { printJson } from './json-output.ts';
import { openModel, type ModelFlags } from './model-options.ts';
import { startPercentage } from './progress-bar.ts';

/** A text divided into documents, as one model reads it. */
interface DividedText {
  readonly file: string;
  readonly documents: readonly TokenizedDocument[];
}
export type DocumentReader = (model: ReadingModel) => DividedText[];

/** The documents of the files. */
export function documentsOfFiles(...[files, flags]: Parameters<typeof fileReader>): DocumentReader {
  const read = fileReader(files, flags);
  return (model) =>
    read(model, (corpus) => {
      if (corpus.documents === CHAT) refuseConversations();
      for (const _ of corpus.text()); // computes the facts of the corpus
      return [...tokenizedDocuments(corpus, model.tokenizer)];
    }).map(({ file, found }) => ({ file, documents: found }));
}

/** The documents of a split of a model's own corpus, in training order. */
export const documentsOfText = (file: string, text: TokenizedText): DividedText => {
  if (text.counted !== undefined) refuseConversations();
  const endId = text.endId ?? endOfTextId(text.tokenizer);
  return {
    file,
    documents: [...documentsOf({ ...text, endId })].map((part, i) => ({ text: part, number: i + 1 })),
  };
};

function refuseConversations(): never {
  throw new UsageError('conflicting-options', '--per-document does not evaluate conversations', {
    hint: 'omit it for the loss of all answers, or use --tokens for that of each token',
  });
}

/** Prints a line per model and document. */
export async function printEachDocument(
  models: readonly string[],
  readDocuments: DocumentReader,
  flags: Omit<ModelFlags, 'model'> & { readonly stride?: number },
): Promise<void> {
  for (const model of models) {
    const { folder, backend } = await openModel({ ...flags, model, base: baseOf(model, flags.base) });
    try {
      for (const { file, documents } of readDocuments(readingModel(model, folder.tokenizer))) {
        const share = startPercentage('evaluated');
        const { stride } = flags;
        const evaluations = evaluateDocuments(folder, backend, documents, {
          ...(stride !== undefined && { stride }),
          progress: (done) => share.update(done),
        });
        for await (const found of evaluations) await printJson(toJson(model, file, found));
        share.stop();
      }
    } finally {
      await backend.close();
    }
  }
}

const toJson = (model: string, text: string, found: DocumentEvaluation) => ({
  model,
  file: found.file ?? text,
  document: found.number,
  ...(found.line !== undefined && { line: found.line }),
  tokens: found.tokens - 1,
  characters: found.characters,
  bytes: found.bytes,
  unknown_tokens: found.unknown,
  nats: found.nats,
  nats_per_token: found.natsPerToken,
  bits_per_byte: found.bitsPerByte,
});
