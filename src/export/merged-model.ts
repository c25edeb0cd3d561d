import type { ModelFolder } from '../checkpoint/model-folder.ts';
import { factorNames, featuresOf, scalingOf } from '../model/lora.ts';
import type { Parameter } from '../model/parameter.ts';
import { parameterTable } from '../model/parameters.ts';
import { writeTensor } from '../model/tensor.ts';

/** A model whose adapters are added to the weights they adapt, W + s·B·A, as PEFT's merge_and_unload() does. */
export function mergedModel(model: ModelFolder): ModelFolder {
  const { lora, ...config } = model.config;
  if (lora === undefined) return model;
  const adapted = new Set(parameterTable(model.config).map(({ name }) => name));
  const weights = new Map(
    parameterTable(config)
      .filter(({ name }) => factorNames(name).A !== name && adapted.has(factorNames(name).A))
      .map((parameter) => [parameter.name, parameter]),
  );
  const open: ModelFolder['open'] = (options) => {
    const reader = model.open(options);
    return {
      read(name) {
        const values = reader.read(name);
        const weight = weights.get(name);
        if (weight === undefined) return values;
        const { A, B } = factorNames(name);
        addProduct(weight, values, { A: reader.read(A), B: reader.read(B), scaling: scalingOf(lora) });
        return values;
      },
      close: () => reader.close(),
    };
  };
  return {
    ...model,
    config,
    open,
    load(into, options) {
      const reader = open(options);
      try {
        for (const target of into) writeTensor(target, reader.read(target.name));
      } finally {
        reader.close();
      }
    },
  };
}

interface Factors {
  /** [r,in] */
  readonly A: Float32Array;
  /** [out,r] */
  readonly B: Float32Array;
  readonly scaling: number;
}

/** Adds s·B·A to a weight stored [out,in], or its transpose to one stored [in,out]. Each sum over r is in float64, in order. */
function addProduct(weight: Parameter, values: Float32Array, { A, B, scaling }: Factors): void {
  const { inputs, outputs } = featuresOf(weight);
  const rank = A.length / inputs;
  const isTransposed = weight.role === 'linear weight';
  const row = new Float64Array(inputs);
  for (let o = 0; o < outputs; o++) {
    row.fill(0);
    for (let k = 0; k < rank; k++) {
      const b = scaling * B[o * rank + k];
      for (let i = 0, a = k * inputs; i < inputs; i++, a++) row[i] += b * A[a];
    }
    if (isTransposed) for (let i = 0; i < inputs; i++) values[i * outputs + o] += row[i];
    else for (let i = 0, w = o * inputs; i < inputs; i++, w++) values[w] += row[i];
  }
}
