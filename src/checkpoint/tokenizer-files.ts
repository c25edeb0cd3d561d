/** Tokenizers on disk: tokenizer.json, or the older pair of vocab.json and merges.txt. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../errors.ts';
import { readTextFile } from '../read-file.ts';
import { readChatTemplate } from './chat-template-file.ts';
import { foreignFile, foreignModel, hintForMissingModel } from './foreign-models.ts';
import { bpeFromVocabAndMerges } from '../tokenizer/bpe.ts';
import { tokenizerFromJson } from '../tokenizer/registry.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { readTokenizerSettings } from './tokenizer-config.ts';

/** In bytes. Large vocabularies with merges take tens of megabytes. */
const LARGEST = 256e6;

/**
 * @param path a tokenizer.json, or a folder with one or with the older pair
 * @param embeddingRows rows of the model's embedding; 0 without a model
 * @throws UserError naming the file and the problem
 */
export function readTokenizer(path: string, embeddingRows = 0): Tokenizer {
  if (!existsSync(path))
    throw new UserError('file-not-found', `there is no file or folder ${path}`, {
      hint: hintForMissingModel(path),
    });
  if (!statSync(path).isDirectory()) {
    const foreign = foreignFile(path);
    if (foreign !== undefined) throw foreign;
    return tokenizerFromJson(readTextFile(path, LARGEST), path);
  }
  const [json, vocab, merges] = ['tokenizer.json', 'vocab.json', 'merges.txt'].map((name) =>
    join(path, name),
  );
  const settings = readTokenizerSettings(path, embeddingRows);
  const chatTemplate = readChatTemplate(path);
  const withTemplate = (tokenizer: Tokenizer): Tokenizer =>
    chatTemplate === undefined ? tokenizer : { ...tokenizer, chatTemplate };
  if (existsSync(json)) return withTemplate(tokenizerFromJson(readTextFile(json, LARGEST), json, settings));
  if (existsSync(vocab) && existsSync(merges))
    return withTemplate(
      bpeFromVocabAndMerges(
        { file: vocab, text: readTextFile(vocab, LARGEST) },
        { file: merges, text: readTextFile(merges, LARGEST) },
        settings,
      ),
    );
  const foreign = foreignModel(path);
  if (foreign !== undefined) throw foreign;
  throw new UserError('file-not-found', `${path} has no tokenizer.json, nor vocab.json and merges.txt`, {
    hint: 'copy the tokenizer of the model there: tokenizer.json, or vocab.json and merges.txt',
  });
}
