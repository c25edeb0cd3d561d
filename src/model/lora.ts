/**
 * Low-rank adapters of a frozen model (LoRA, Hu et al. 2021): a linear layer y = x·Wᵀ becomes y = x·Wᵀ + s·(x·Aᵀ)·Bᵀ, where only
 * A [r,in] and B [out,r] are trained. Names and meaning of the fields are those of PEFT's LoraConfig.
 */
import { UsageError } from '../errors.ts';
import { shownJson } from '../json.ts';
import { optionName } from '../messages.ts';
import { closest } from '../suggest.ts';
import { constant, isLinearWeight, type Parameter } from './parameter.ts';

export interface LoraConfig {
  /** r: rows of A, columns of B. */
  readonly rank: number;
  readonly alpha: number;
  /** Dropout probability of the adapters' input. Training only. */
  readonly dropout: number;
  /** Linear layers that have adapters: last parts of their names, such as `q_proj` or `layers.0.mlp.up_proj`. */
  readonly targets: readonly string[];
  /** s = alpha/√r instead of alpha/r (Kalajdzievski 2023). */
  readonly isRankStabilized: boolean;
  readonly base: BaseModel;
}

/** The frozen model. */
export interface BaseModel {
  /** Its folder, as adapter_config.json names it. */
  readonly path: string;
  /** Identifies its weights; unknown for adapters trained elsewhere. */
  readonly fingerprint?: string | undefined;
}

/** The factor s of the adapters' output. */
export const scalingOf = ({ rank, alpha, isRankStabilized }: LoraConfig): number =>
  alpha / (isRankStabilized ? Math.sqrt(rank) : rank);

/** Names of the two matrices beside a linear layer's weight. */
export const factorNames = (weight: string): { readonly A: string; readonly B: string } => ({
  A: weight.replace(/weight$/, 'lora_A.weight'),
  B: weight.replace(/weight$/, 'lora_B.weight'),
});

/** Rows and columns of a linear layer's weight in torch's sense, whatever its layout. */
export const featuresOf = ({
  role,
  shape,
}: Parameter): { readonly inputs: number; readonly outputs: number } =>
  role === 'linear weight'
    ? { inputs: shape[0], outputs: shape[1] }
    : { inputs: shape[1], outputs: shape[0] };

/** The names of an architecture's tensors in PyTorch. */
interface Naming {
  readonly toTensorName: (parameter: string) => string;
}

/** A linear layer's name in PyTorch: `model.layers.0.self_attn.q_proj`. */
const moduleOf = ({ toTensorName }: Naming, { name }: Parameter): string =>
  toTensorName(name).replace(/\.weight$/, '');

/** PEFT's rule for a list of targets: the whole name, or its end after a dot. */
const isTarget = (module: string, targets: readonly string[]): boolean =>
  targets.some((target) => module === target || module.endsWith(`.${target}`));

/** Last parts of the names of all linear layers inside blocks, which PEFT calls "all-linear": q_proj, k_proj, … */
export const linearLayers = (table: readonly Parameter[]): string[] => [
  ...new Set(table.filter(isLinearWeight).map(({ kind }) => kind.split('.').at(-2)!)),
];

/** The frozen parameters, then A and B of each target. */
export function withAdapters(
  table: readonly Parameter[],
  { rank, targets }: LoraConfig,
  naming: Naming,
): Parameter[] {
  const frozen = table.map((parameter) => ({ ...parameter, isTrained: false, isDecayed: false }));
  const adapters = table
    .filter((parameter) => isLinearWeight(parameter) && isTarget(moduleOf(naming, parameter), targets))
    .flatMap((weight): Parameter[] => {
      const { inputs, outputs } = featuresOf(weight);
      const [name, kind] = [factorNames(weight.name), factorNames(weight.kind)];
      const shared = { role: 'adapter', part: 'adapters', isTrained: true, isDecayed: true } as const;
      const layer = weight.layer === undefined ? {} : { layer: weight.layer };
      // PEFT: A as torch.nn.Linear, kaiming_uniform_(a=√5); B = 0, so that the adapted model starts as its base.
      const bound = 1 / Math.sqrt(inputs);
      return [
        {
          ...shared,
          ...layer,
          name: name.A,
          kind: kind.A,
          shape: [rank, inputs],
          init: { kind: 'uniform', bound },
        },
        { ...shared, ...layer, name: name.B, kind: kind.B, shape: [outputs, rank], init: constant(0) },
      ];
    });
  return [...frozen, ...adapters];
}

/** @throws UsageError for a target that matches no linear layer */
export function checkTargets(table: readonly Parameter[], targets: readonly string[], naming: Naming): void {
  const names = linearLayers(table);
  const modules = table.filter(isLinearWeight).map((parameter) => moduleOf(naming, parameter));
  const unknown = targets.find((target) => !modules.some((module) => isTarget(module, [target])));
  if (unknown === undefined) return;
  const similar = closest(unknown, names);
  throw new UsageError(
    'bad-option-value',
    `${optionName('loraTargets')}: the model has no linear layer ${shownJson(unknown)}; it has ${names.join(', ')}`,
    similar === undefined ? undefined : { hint: `did you mean ${similar}?` },
  );
}
