/**
 * Tokenizing a 100 MB file beside Hugging Face tokenizers, both with the same tokenizer.json.
 *
 *     npm run build && node bench/tokenizing.js [char|word|bpe|FILE …] [--rounds 5] [--corpus data/moby-dick.txt] [--python …]
 *
 * FILE is a tokenizer.json from elsewhere, such as Llama 3's.
 */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCorpus } from '../dist/data/corpus.js';
import { buildVocabulary } from '../dist/data/tokenize.js';
import { tokenizers } from '../dist/tokenizer/registry.js';
import { alternate, gpt, main, medianOf, python, times } from './common.js';

const MEGABYTES = 100;
/** Target speeds relative to `tokenizers`. */
const targets = { char: 5, word: 5, bpe: 1 };
/** A typical vocabulary size for small models. */
const BPE_SIZE = 8192;

export async function measureTokenizing({ rounds, python: interpreter, corpus, models }, log) {
  const folder = mkdtempSync(join(tmpdir(), 'gpt-bench-'));
  const file = join(folder, 'text.txt');
  writeLarge(file, readFileSync(corpus), MEGABYTES * 1e6);
  const rows = [];
  for (const kind of models.length > 0 ? models : ['char', 'word', 'bpe']) {
    const tokenizer = kind in tokenizers ? writeTokenizer(join(folder, `${kind}.json`), kind, corpus) : kind;
    const flags = { file, tokenizer };
    const contenders = [
      await gpt('tokenize', flags),
      await python('tokenizers', interpreter, 'tokenizers_encode.py', flags),
    ];
    if (contenders[0].ready.hash !== contenders[1].ready.hash) throw new Error('the ids differ');
    const answers = await alternate(contenders, [1, 1], rounds);
    for (const contender of contenders) await contender.close();
    const [ours, rival] = answers.map((each) => MEGABYTES / medianOf(each, 'seconds'));
    log(`${kind}: ${ours.toFixed(1)} MB/s, tokenizers ${rival.toFixed(1)} MB/s`);
    rows.push({
      work: `${kind} tokenizing, ${MEGABYTES} MB`,
      ours: `${ours.toFixed(1)} MB/s`,
      rival: `tokenizers ${contenders[1].ready.version}, all cores: ${rival.toFixed(1)} MB/s`,
      value: ours / rival,
      ratio: times(ours / rival),
      target: `≥ ${targets[kind] ?? 1}×`,
      met: ours / rival >= (targets[kind] ?? 1),
    });
  }
  rmSync(folder, { recursive: true });
  return rows;
}

/** Learns a tokenizer from the text. */
function writeTokenizer(path, kind, corpus) {
  const text = openCorpus([corpus], { encodingErrors: 'strict' });
  const maxSize = kind === 'bpe' ? BPE_SIZE : undefined;
  const vocabulary = buildVocabulary(text, tokenizers[kind].vocabulary({ rareWords: 'spell', maxSize }));
  writeFileSync(path, JSON.stringify(vocabulary.toJSON()));
  return path;
}

/** Repeats the text up to a length. */
function writeLarge(file, text, bytes) {
  const to = openSync(file, 'w');
  for (let written = 0; written < bytes;) written += writeSync(to, text);
  closeSync(to);
}

await main(import.meta.url, ({ models, ...options }, log) => measureTokenizing({ ...options, models }, log));
