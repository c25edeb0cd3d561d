/** Options of runs whose ranks train replicas of the model; see replicas/replica.ts. */
import { optionName } from '../../messages.ts';
import { OUTER_LEARNING_RATE, OUTER_MOMENTUM } from '../replicas/outer-step.ts';
import { optional, orAbsent, row, unused } from './row.ts';
import { belowOne, nonNegative, positive } from './values.ts';

const withReplicas = unused(
  ({ syncEvery }) => syncEvery !== undefined,
  () => `without ${optionName('syncEvery')}`,
);

export const replicaRows = {
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
