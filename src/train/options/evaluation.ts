/** Options of evaluations, checkpoints and previews. */
import { choice, wholeNumber } from '../../values.ts';
import { saveEvery, type SaveEvery } from '../save-every.ts';
import { orAbsent, row } from './row.ts';
import { positive } from './values.ts';

const LOGS = ['none', 'tensorboard'] as const;

export const evaluationRows = {
  evalInterval: row<number>({
    group: 'Evaluation and output',
    value: wholeNumber(),
    placeholder: 'n',
    help: 'steps between evaluations; 0: only at the end',
    default: ({ maxIters }) => Math.max(1, Math.min(250, Math.ceil(maxIters / 10))),
    defaultHelp: 'a tenth of the run, at most 250; with --minutes a twentieth',
    onResume: 'forced',
  }),
  evalIters: row<number>({
    group: 'Evaluation and output',
    value: positive,
    placeholder: 'n',
    help: 'batches per split in an evaluation',
    default: 20,
    defaultHelp: '20; with --minutes 2 to 50',
    onResume: 'forced',
    changes: 'sample',
  }),
  patience: row<number>({
    group: 'Evaluation and output',
    value: wholeNumber(),
    placeholder: 'n',
    help: 'stop after n evaluations without improvement; 0: never',
    default: 0,
    defaultHelp: '8; 0 with a preset or --max-iters',
    caution: (value, { evalInterval, maxIters }) =>
      value === 0 || (evalInterval > 0 && evalInterval < maxIters)
        ? undefined
        : 'has no effect if the only evaluation is at the end',
    onResume: 'free',
  }),
  /** Checkpoints between evaluations: every n steps, or at an interval such as '10m'; 0: none. */
  saveEvery: row<SaveEvery>({
    group: 'Evaluation and output',
    value: saveEvery,
    placeholder: 'when',
    help: 'checkpoint every n steps, or minutes as in 10m; 0: never',
    default: '10m',
    onResume: 'free',
  }),
  /** Where the metrics go besides metrics.jsonl. */
  log: row<(typeof LOGS)[number]>({
    group: 'Evaluation and output',
    value: choice(LOGS),
    placeholder: 'format',
    help: 'tensorboard: also write event files for TensorBoard',
    default: 'none',
    onResume: 'free',
    stored: orAbsent(choice(LOGS)),
  }),
  /** Tokens of the preview written at each evaluation; 0: none. */
  sampleTokens: row<number>({
    group: 'Evaluation and output',
    value: wholeNumber(),
    placeholder: 'n',
    help: 'tokens of the sample after each evaluation; 0: none',
    default: 0,
    flagDefault: 120,
    onResume: 'free',
  }),
};
