/** Hints for flags of other tools (nanoGPT, transformers, llama.cpp, PyTorch trainers) that have another name here. */
import { shellQuoted } from '../shell-quote.ts';
import { closest } from '../suggest.ts';

/** The command that was entered. */
export interface GivenCommand {
  /** As typed: `gpt`, `gpt train`. */
  readonly line: string;
  /** Its flags, without dashes. */
  readonly flags: readonly string[];
  /** Arguments after the command's name. */
  readonly args: readonly string[];
}

/** Names in other tools, by the flag that corresponds to them here. */
const namesElsewhere: Readonly<Record<string, string>> = {
  'learning-rate': 'lr max-lr peak-lr step-size',
  'min-lr': 'min-learning-rate lr-min eta-min',
  'max-iters': 'max-steps steps num-steps n-steps iters num-iters iterations train-steps',
  minutes: 'max-time time max-minutes hours',
  'max-tokens': 'max-new-tokens max-length n-predict num-tokens n-tokens num-predict length',
  'num-samples': 'num-return-sequences n-samples samples n',
  'block-size':
    'context context-length context-size ctx ctx-size n-ctx n-positions seq-len seq-length max-seq-len max-length',
  'batch-size': 'batch bs train-batch-size per-device-train-batch-size micro-batch-size',
  'batch-sampling': 'train-sampling-strategy sampling sampler shuffle replacement',
  'gradient-accumulation-steps':
    'grad-accum grad-accum-steps grad-accumulation-steps accumulation-steps accumulate-grad-batches',
  'n-layer': 'layers num-layers n-layers num-hidden-layers depth',
  'n-head': 'heads num-heads n-heads num-attention-heads',
  'n-embd': 'embd n-embed embed-dim embedding-dim embedding-size hidden-size hidden-dim d-model dim width',
  'warmup-iters': 'warmup warmup-steps num-warmup-steps',
  schedule: 'scheduler lr-schedule lr-scheduler lr-scheduler-type decay-lr',
  'lr-decay-type': 'decay-type',
  'weight-decay': 'wd',
  'grad-clip': 'clip clip-grad clip-grad-norm max-grad-norm max-norm gradient-clip gradient-clip-val',
  beta1: 'adam-beta1',
  beta2: 'adam-beta2',
  epsilon: 'eps adam-epsilon adam-eps',
  'label-smoothing': 'label-smoothing-factor smoothing',
  optimizer: 'optim',
  'ema-decay': 'ema use-ema ema-rate model-ema model-ema-decay swa average-weights',
  'eval-interval': 'eval-steps eval-every eval-freq evaluation-steps val-check-interval',
  'save-every': 'save-steps save-interval checkpoint-interval checkpoint-every',
  'out-dir': 'out output output-dir save-dir save-path',
  html: 'o output output-file out out-file',
  output: 'html out out-file output-file',
  'val-file': 'val-data validation-file valid-file eval-file',
  'val-fraction': 'val-split validation-split val-ratio val-size test-size',
  'vocab-size': 'vocab n-vocab',
  resume: 'resume-from resume-from-checkpoint continue',
  'init-from': 'init finetune fine-tune from-pretrained pretrained base-model model m',
  model: 'checkpoint ckpt ckpt-path model-path model-dir model-name-or-path pretrained-model',
  prompt: 'start text input',
  'prompt-file': 'file input-file',
  interactive: 'chat conversation',
  beams: 'num-beams n-beams beam-size beam-width',
  temperature: 'temp',
  'repetition-penalty': 'repeat-penalty rep-pen',
  stop: 'stop-string stop-strings stop-sequence stop-sequences reverse-prompt antiprompt',
  seed: 'random-seed manual-seed rng-seed random-state',
  threads: 'num-threads n-threads workers num-workers cpus jobs',
  verbose: 'v',
};

interface Foreign {
  /** As typed: `-m`, `--output=x`. */
  readonly typed: string;
  readonly command: GivenCommand;
  /** Whether the command has a flag. */
  readonly has: (flag: string) => boolean;
}

/** Flags without an equivalent, and what to do instead. */
const answers: readonly {
  readonly names: string;
  readonly answer: (foreign: Foreign) => string | undefined;
}[] = [
  {
    names: 'epochs epoch num-epochs n-epochs max-epochs num-train-epochs',
    answer: ({ has }) =>
      has('max-iters')
        ? 'use --max-iters (steps) or --minutes; `gpt plan` with the same flags prints the number of epochs'
        : undefined,
  },
  {
    names: 'gpu gpus cuda mps cpu ngl n-gpu-layers',
    answer: ({ has }) =>
      has('device')
        ? '--device webgpu computes on a GPU; --threads sets the number of threads on the CPU'
        : undefined,
  },
  {
    names: 'grad-reduce-in-bf16 communication-data-type ddp-comm-hook',
    answer: ({ has }) =>
      has('reduce-dtype') ? '--reduce-dtype bf16 sends gradients between ranks in bfloat16' : undefined,
  },
  {
    names: 'fp16 bf16 dtype precision torch-dtype mixed-precision',
    answer: ({ has }) =>
      has('matmul-precision')
        ? 'everything is computed in float32; --matmul-precision float16 is for GEMM operands on a GPU'
        : 'everything is computed in float32; omit it',
  },
  { names: 'compile', answer: () => 'the kernels are compiled already; omit it' },
  {
    names: 'do-sample',
    answer: ({ has }) => (has('greedy') ? 'gpt samples unless --greedy is given; omit it' : undefined),
  },
  {
    names: 'data dataset data-dir data-path corpus train-file train-data input input-file file',
    answer: (foreign) =>
      foreign.has('val-fraction')
        ? `pass the text without a flag: ${withoutFlag(foreign, 'book.txt')}`
        : undefined,
  },
  {
    names: 'm model',
    answer: (foreign) =>
      foreign.command.line === 'gpt compare'
        ? `pass the runs without a flag: ${withoutFlag(foreign, 'checkpoints/*')}`
        : undefined,
  },
  {
    names: 'o output output-file out out-file',
    answer: (foreign) => `results go to standard output: ${redirected(foreign)}`,
  },
];

/** The command line with a flag's values as arguments. @param example placeholder for a missing value */
function withoutFlag({ typed, command: { line, args } }: Foreign, example: string): string {
  const flag = nameOf(typed);
  const words = args
    .filter((arg) => arg !== flag)
    .map((arg) => (arg.startsWith(`${flag}=`) ? arg.slice(flag.length + 1) : arg));
  return [line, ...(words.length === 0 ? [example] : words.map(shellQuoted))].join(' ');
}

/** The command line with its output redirected to a flag's value. */
function redirected({ typed, command: { line, args } }: Foreign): string {
  const flag = nameOf(typed);
  const at = args.findIndex((arg) => nameOf(arg) === flag);
  const isAttached = args[at] !== flag;
  const file = (isAttached ? args[at]?.slice(flag.length + 1) : args[at + 1]) ?? 'results.txt';
  const others = args.filter((_, i) => i !== at && (isAttached || i !== at + 1));
  return [line, ...others.map(shellQuoted), '>', shellQuoted(file)].join(' ');
}

/** `--output=x` → `--output`. */
const nameOf = (flag: string): string => flag.replace(/=.*$/s, '');

/**
 * A hint for an unknown flag.
 *
 * @param typed as typed: `--n_layer`, `--lr=3`
 * @param command that was entered
 * @returns a sentence; undefined if no flag is similar
 */
export function hintForFlag(typed: string, command: GivenCommand): string | undefined {
  const name = kebab(typed);
  const { flags } = command;
  const has = (flag: string): boolean => flags.includes(flag);
  const isIn = (names: string): boolean => names.split(' ').includes(name);
  const same = flags.find((flag) => flag === name);
  const renamed = Object.keys(namesElsewhere).find((flag) => has(flag) && isIn(namesElsewhere[flag]));
  const meant = same ?? renamed;
  if (meant !== undefined) return `did you mean --${meant}?`;
  for (const { names, answer } of answers) {
    const text = isIn(names) ? answer({ typed, command, has }) : undefined;
    if (text !== undefined) return text;
  }
  const near = closest(name, flags);
  return near === undefined ? undefined : `did you mean --${near}?`;
}

/** `--n_layer=6`, `--nLayer` → `n-layer`. */
const kebab = (typed: string): string =>
  nameOf(typed)
    .replace(/^-+/, '')
    .replace(/([a-z])([A-Z])/g, '$1-$2')
    .replaceAll('_', '-')
    .toLowerCase();
