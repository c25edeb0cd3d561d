/** `gpt eval`: how well models predict texts. */
import type { Command } from 'commander';
import { newestRun } from '../checkpoint/runs.ts';
import { openCorpus, type Corpus } from '../data/corpus.ts';
import { openScorer } from '../evaluate/evaluate-text.ts';
import { measure } from '../evaluate/measures.ts';
import { readTokenizedText } from '../evaluate/tokenized-text.ts';
import { notes, showComparison, showMeasures, toJson, type Evaluation } from './eval-tables.ts';
import { tokenPrinter } from './eval-tokens.ts';
import { addExamples } from './help.ts';
import { openModel, threadsOption } from './model-options.ts';
import { argument, choice, filePath, option, repeatable, wholeNumber } from './options.ts';
import { startShare } from './progress-bar.ts';
import { notice, print } from './terminal.ts';

interface Flags {
  readonly model?: readonly string[];
  readonly threads?: number;
  readonly stride?: number;
  readonly tokens?: true;
  readonly encodingErrors: 'strict' | 'replace';
  readonly json?: true;
}

export function register(command: Command): void {
  command
    .addArgument(
      argument('[file...]', 'text files or folders, each a text; stdin if there is none', filePath),
    )
    .addOption(
      repeatable(
        '-m, --model <folder>',
        'may be given again; default: the newest run under checkpoints/',
        filePath,
      ),
    )
    .addOption(
      option(
        '--stride <n>',
        'windows start every n tokens, so that each token has at least block size − n of context; default: the block size, which is fastest',
        wholeNumber({ min: 1 }),
      ),
    )
    .option('--tokens', 'what each token costs: coloured text on a terminal, JSON lines in a pipe')
    .addOption(threadsOption())
    .addOption(
      option('--encoding-errors <what>', 'strict or replace', choice(['strict', 'replace']), 'strict'),
    )
    .option('--json', 'print JSON, a line for each model and text')
    .action(evaluate);
  addExamples(command, [
    ['The newest model on a file', 'gpt eval chapter.txt'],
    ['More context for each token', 'gpt eval chapter.txt --stride 16'],
    ['Two models on two texts', 'gpt eval a.txt b.txt -m checkpoints/one -m checkpoints/two'],
    ['What surprises the model', 'gpt eval chapter.txt --tokens'],
    ['From a pipe, for a script', 'cat chapter.txt | gpt eval --json | jq .bits_per_byte'],
  ]);
}

interface NamedCorpus {
  readonly file: string;
  readonly corpus: Corpus;
}

async function evaluate(files: string[], flags: Flags): Promise<void> {
  if (files.length === 0 && process.stdin.isTTY)
    notice('Reading the text from the terminal; Ctrl-D ends it.');
  const corpora = (files.length === 0 ? ['-'] : files).map((file) => ({
    file: file === '-' ? 'stdin' : file,
    corpus: openCorpus([file], flags),
  }));
  const evaluations: Evaluation[] = [];
  for (const model of flags.model ?? [newestRun()])
    for await (const evaluation of evaluateModel(model, corpora, flags)) {
      if (flags.json) await print(`${JSON.stringify(toJson(evaluation))}\n`);
      else evaluations.push(evaluation);
    }
  if (evaluations.length === 1) await print(`${showMeasures(evaluations[0])}\n`);
  if (evaluations.length < 2) return;
  await print(`${showComparison(evaluations)}\n`);
  for (const note of notes(evaluations)) notice(note);
}

/** One model on all texts. With --tokens it prints what each token costs, and yields nothing. */
async function* evaluateModel(
  model: string,
  corpora: readonly NamedCorpus[],
  flags: Flags,
): AsyncGenerator<Evaluation> {
  const { folder, backend } = await openModel({ ...flags, model });
  try {
    const texts = corpora.map(({ file, corpus }) => {
      const text = readTokenizedText(corpus, folder.tokenizer);
      return { file, text, characters: corpus.facts.characters };
    });
    const lengths = texts.map(({ text }) => text.ids.length);
    const total = lengths.reduce((sum, length) => sum + length, 0);
    let before = 0;
    const share = startShare('evaluated');
    const scorer = openScorer(folder, backend, Math.max(...lengths), {
      ...flags,
      progress: (tokens) => share.update((before + tokens) / total),
    });
    for (const { file, text, characters } of texts) {
      const scores = scorer.scores(text);
      if (flags.tokens) {
        const printer = tokenPrinter(text, { model, file }, flags.json === true);
        await print(printer.start());
        for (const piece of scores) await print(printer.show(piece));
        await print(printer.end());
      } else {
        const measures = measure(text, characters, scores);
        yield { ...measures, model, file, stride: scorer.stride, vocabSize: folder.config.vocabSize };
      }
      before += text.ids.length;
    }
    share.stop();
  } finally {
    await backend.close();
  }
}
