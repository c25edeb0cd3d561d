/** Options of runs with several ranks: see ranks/ranked-work.ts and, with `syncEvery`, replicas/replica.ts. */
import { optionName } from '../../messages.ts';
import { choice } from '../../values.ts';
import { gradientDtypes, type GradientDtype } from '../ranks/gradient-format.ts';
import { OUTER_LEARNING_RATE, OUTER_MOMENTUM } from '../replicas/outer-step.ts';
import { optional, orAbsent, row, unused } from './row.ts';
import { belowOne, nonNegative, positive } from './values.ts';

const withReplicas = unused(
  ({ syncEvery }) => syncEvery !== undefined,
  () => `without ${optionName('syncEvery')}`,
);

export const rankRows = {
  reduceDtype: row<GradientDtype>({
    group: 'Training',
    value: choice(gradientDtypes),
    placeholder: 'type',
    help: 'format of gradients sent between ranks; bf16 halves the bytes',
    default: 'f32',
    caution: unused(
      ({ syncEvery }) => syncEvery === undefined,
      () => `with ${optionName('syncEvery')}`,
    ),
    onResume: 'forced',
    stored: orAbsent(choice(gradientDtypes)),
  }),
  syncEvery: optional<number>({
    group: 'Training',
    value: positive,
    placeholder: 'n',
    help: 'steps that ranks take alone between synchronizations (DiLoCo)',
    defaultHelp: 'all ranks share every step',
    onResume: 'fixed', // replicas have states that a single model lacks
  }),
  outerLr: row<number>({
    group: 'Training',
    value: nonNegative,
    placeholder: 'x',
    help: 'outer learning rate with --sync-every',
    default: OUTER_LEARNING_RATE,
    caution: withReplicas,
    onResume: 'forced',
    stored: orAbsent(nonNegative),
  }),
  outerMomentum: row<number>({
    group: 'Training',
    value: belowOne,
    placeholder: 'x',
    help: 'outer Nesterov momentum with --sync-every',
    default: OUTER_MOMENTUM,
    caution: withReplicas,
    onResume: 'forced',
    stored: orAbsent(belowOne),
  }),
  /** Set by replicas/replica-options.ts. */
  replicas: optional<number>({
    group: 'Training',
    value: positive,
    placeholder: 'n',
    help: 'number of replicas with --sync-every',
    hasFlag: false,
    onResume: 'fixed',
  }),
};
