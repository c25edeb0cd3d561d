/** Options of the optimizer, of the initial weights, whose scheme depends on it, and of the average of the weights. */
import { allArchitectures, architectureOf } from '../../model/architectures/registry.ts';
import { initializations, type Initialization } from '../../model/parameter.ts';
import { choice } from '../../values.ts';
import { muonScales, type MuonScale } from '../muon.ts';
import { optimizerNames, type OptimizerName } from '../optimizer.ts';
import { recipes } from '../recipe.ts';
import { LION_DIVISOR } from './learning-rate.ts';
import { LORA_WEIGHT_DECAY } from './lora.ts';
import { ofOptimizer, orAbsent, row, type KnownOptions } from './row.ts';
import { aboveZero, belowOne, nonNegative } from './values.ts';

/** Peak learning rate of the matrices that Muon updates: of a new model, and for fine-tuning. */
const [MUON_LEARNING_RATE, MUON_FINE_TUNING] = [0.02, 0.002];

export const usualMuonPeak = ({ initFrom }: Partial<Pick<KnownOptions, 'initFrom'>>): number =>
  initFrom === undefined ? MUON_LEARNING_RATE : MUON_FINE_TUNING;

/** Lion's is larger by the factor by which its learning rate is smaller: the decay per step is their product. */
export const WEIGHT_DECAY = 0.1;

const startingFromFanIn = allArchitectures()
  .filter(({ initializationForMuon }) => initializationForMuon === 'fan-in')
  .map(({ name }) => name);

export const optimizerRows = {
  optimizer: row<OptimizerName>({
    group: 'Training',
    value: choice(optimizerNames),
    placeholder: 'name',
    help: optimizerNames.join(', '),
    default: 'adamw',
    defaultHelp: 'muon; adamw with a preset, --max-iters or --init-from',
    onResume: 'fixed', // optimizers do not share moments
  }),
  initialization: row<Initialization>({
    group: 'Training',
    value: choice(initializations),
    placeholder: 'scheme',
    help: `initial weights: ${initializations.join(' or ')}`,
    default: ({ optimizer, arch }) =>
      optimizer === 'muon' ? architectureOf({ arch }).initializationForMuon : 'gpt2',
    defaultHelp: `gpt2; ${startingFromFanIn.join(', ')} with muon: fan-in`,
    onResume: 'fixed', // a resumed run already has weights
    stored: orAbsent(choice(initializations)),
  }),
  /** Peak learning rate of the matrices that Muon updates. */
  muonLearningRate: row<number>({
    group: 'Training',
    value: nonNegative,
    placeholder: 'x',
    help: 'peak learning rate of matrices with muon',
    default: usualMuonPeak,
    defaultHelp: `${MUON_LEARNING_RATE}; ${MUON_FINE_TUNING} with --init-from`,
    caution: ofOptimizer('muonLearningRate'),
    onResume: 'forced',
    stored: orAbsent(nonNegative),
  }),
  muonScale: row<MuonScale>({
    group: 'Training',
    value: choice(muonScales),
    placeholder: 'name',
    help: "scale of Muon's updates: neuron, or matrix as published",
    default: 'neuron',
    formerly: ({ optimizer }) => (optimizer === 'muon' ? 'matrix' : undefined),
    caution: ofOptimizer('muonScale'),
    onResume: 'forced',
    stored: orAbsent(choice(muonScales)),
  }),
  weightDecay: row<number>({
    group: 'Training',
    value: nonNegative,
    placeholder: 'x',
    help: 'applied to matrices only',
    default: ({ optimizer, loraRank }) =>
      (optimizer === 'lion' ? LION_DIVISOR : 1) * (loraRank === undefined ? WEIGHT_DECAY : LORA_WEIGHT_DECAY),
    defaultHelp: `${WEIGHT_DECAY}, with --lora-rank ${LORA_WEIGHT_DECAY}; lion: ${LION_DIVISOR} times that`,
    onResume: 'forced',
  }),
  beta1: row<number>({
    group: 'Training',
    value: belowOne,
    placeholder: 'x',
    help: 'of AdamW and Lion',
    default: 0.9,
    caution: ofOptimizer('beta1'),
    onResume: 'forced',
  }),
  beta2: row<number>({
    group: 'Training',
    value: belowOne,
    placeholder: 'x',
    help: 'of AdamW and Lion',
    default: ({ preset, optimizer }) => (optimizer === 'lion' ? 0.99 : recipes[preset].beta2),
    defaultHelp: '0.99; 0.95 with preset gpt2 and larger, unless with lion',
    caution: ofOptimizer('beta2'),
    onResume: 'forced',
  }),
  epsilon: row<number>({
    group: 'Training',
    value: aboveZero,
    placeholder: 'x',
    help: 'of AdamW',
    default: 1e-8,
    caution: ofOptimizer('epsilon'),
    onResume: 'forced',
    stored: orAbsent(aboveZero),
  }),
  momentum: row<number>({
    group: 'Training',
    value: belowOne,
    placeholder: 'x',
    help: 'of SGD and Muon',
    default: ({ optimizer }) => (optimizer === 'muon' ? 0.95 : 0.9),
    defaultHelp: '0.9; 0.95 with muon',
    caution: ofOptimizer('momentum'),
    onResume: 'forced',
  }),
  gradClip: row<number>({
    group: 'Training',
    value: nonNegative,
    placeholder: 'x',
    help: 'maximum gradient norm; 0: unlimited',
    default: 1,
    onResume: 'forced',
  }),
  /** See weight-average.ts. */
  emaDecay: row<number>({
    group: 'Training',
    value: belowOne,
    placeholder: 'x',
    help: 'decay of a moving average of the weights; 0: none',
    default: 0,
    defaultHelp: '0; 0.99 for a new model on a short text, with --minutes and no preset',
    onResume: 'forced',
    stored: orAbsent(belowOne),
  }),
};
