/** What can be said about a run: the options that `train` and `plan` share. */
import type { Command } from 'commander';
import { activations } from '../model/architectures/gpt2.ts';
import { presetNames } from '../model/config.ts';
import { tokenizerKinds } from '../tokenizer/registry.ts';
import { optimizerNames } from '../train/optimizer.ts';
import { scheduleNames } from '../train/schedule.ts';
import { encodingErrorsOption, encodingOption } from './decoding-options.ts';
import { modelFolder, threadsOption } from './model-options.ts';
import { choice, filePath, number, option, seed, wholeNumber } from './options.ts';

const positive = wholeNumber({ min: 1 });
/** The number of a step is one word of the random streams' counters. */
const MOST_STEPS = 2 ** 32;
/** About twenty years. */
const MOST_MINUTES = 1e7;
const share = number({ min: 0, below: 1 });

/** Model, data and training, each under a heading of its own. */
export function addRunOptions(command: Command): void {
  command.optionsGroup('Model:');
  command
    .addOption(
      option(
        '--init-from <folder>',
        'start from this trained model: its weights, shape and tokenizer',
        modelFolder,
      ).conflicts(['preset', 'vocabSize', 'minFrequency']),
    )
    .addOption(
      option(
        '--preset <name>',
        `${presetNames.join(', ')}; default: what suits corpus and time`,
        choice(presetNames),
      ),
    )
    .addOption(option('--n-layer <n>', 'transformer blocks', positive))
    .addOption(option('--n-head <n>', 'attention heads', positive))
    .addOption(option('--n-embd <n>', 'channels', positive))
    .addOption(option('--block-size <n>', 'longest context, in tokens', positive))
    .addOption(option('--dropout <p>', 'probability of zeroing', share))
    .addOption(option('--activation <name>', 'gelu_new (default), gelu (exact) or relu', choice(activations)))
    .addOption(
      option('--positions <kind>', 'learned (default) or sinusoidal', choice(['learned', 'sinusoidal'])),
    )
    .addOption(option('--norm <where>', 'LayerNorm pre (default) or post', choice(['pre', 'post'])));
  command.optionsGroup('Data:');
  command
    .addOption(option('--tokenizer <kind>', 'char (default), word or bpe', choice(tokenizerKinds)))
    .addOption(
      option('--min-frequency <n>', 'leave rarer tokens out of the vocabulary; bpe: rarer merges', positive),
    )
    .addOption(option('--vocab-size <n>', 'at most so many tokens (bpe: 1024)', wholeNumber({ min: 2 })))
    .addOption(
      option(
        '--val-fraction <p>',
        'last part of the text kept for validation (default: 0.1, up to 500,000 tokens)',
        share,
      ),
    )
    .addOption(
      option('--val-file <file>', 'validate on this text instead', filePath).conflicts('valFraction'),
    )
    .addOption(encodingOption())
    .addOption(encodingErrorsOption());
  command.optionsGroup('Training:');
  command
    .addOption(
      option(
        '--minutes <n>',
        'how long to train in all (default: 3, without --max-iters or --preset)',
        number({ above: 0, max: MOST_MINUTES }),
      ).conflicts('maxIters'),
    )
    .addOption(option('--max-iters <n>', 'optimiser steps', wholeNumber({ min: 1, max: MOST_STEPS })))
    .addOption(option('--batch-size <n>', 'sequences in a micro-batch', positive))
    .addOption(option('--gradient-accumulation-steps <n>', 'micro-batches in a step', positive))
    .addOption(option('--learning-rate <x>', 'at its highest', number({ min: 0 })))
    .addOption(option('--min-lr <x>', 'at the end (default: a tenth, wsd: a fiftieth)', number({ min: 0 })))
    .addOption(option('--warmup-iters <n>', 'steps of linear warm-up', wholeNumber()))
    .addOption(option('--lr-decay-iters <n>', 'where the decay ends (default: max-iters)', positive))
    .addOption(option('--lr-decay-start <n>', 'where the decay of wsd starts (default: 3/4)', wholeNumber()))
    .addOption(
      option(
        '--schedule <name>',
        `${scheduleNames.join(', ')} (default: cosine, with --minutes wsd)`,
        choice(scheduleNames),
      ),
    )
    .addOption(option('--optimizer <name>', optimizerNames.join(' or '), choice(optimizerNames), 'adamw'))
    .addOption(option('--weight-decay <x>', 'on matrices only', number({ min: 0 }), 0.1))
    .addOption(option('--beta1 <x>', 'of AdamW', share, 0.9))
    .addOption(option('--beta2 <x>', 'of AdamW (default: 0.99, gpt2: 0.95)', share))
    .addOption(option('--momentum <x>', 'of SGD', share, 0.9))
    .addOption(option('--grad-clip <x>', 'largest gradient norm; 0: any', number({ min: 0 }), 1))
    .addOption(option('--seed <n>', 'of every random draw', seed, 1337))
    .addOption(threadsOption());
}
