/** A model as a Hugging Face folder in one of three precisions. */
import { join } from 'node:path';
import type { TorchDtype } from '../checkpoint/huggingface.ts';
import {
  encodedWeights,
  IS_AVERAGE,
  modelFacts,
  VALIDATION_LOSS,
  VALIDATION_TOKENS,
  WEIGHTS,
  writeModelDescription,
  type ModelFolder,
} from '../checkpoint/model-folder.ts';
import type { WeightDtype } from '../checkpoint/safetensors-dtypes.ts';
import { architectureOf } from '../model/architectures/registry.ts';
import { elements, parameterTable } from '../model/parameters.ts';
import type { Report } from '../reporting.ts';
import { writeFileFlushed } from '../write-file.ts';
import { refuseOverflow } from './overflow.ts';

export const folderDtypes = ['f32', 'f16', 'bf16'] as const;
export type FolderDtype = (typeof folderDtypes)[number];

const stored: {
  readonly [D in FolderDtype]: { readonly weights: WeightDtype; readonly config: TorchDtype };
} = {
  f32: { weights: 'F32', config: 'float32' },
  f16: { weights: 'F16', config: 'float16' },
  bf16: { weights: 'BF16', config: 'bfloat16' },
};

/**
 * Writes the files into an empty folder.
 *
 * @returns size of the weights file in bytes
 * @throws UserError naming a tensor that the dtype cannot hold
 */
export function writeHuggingFaceFolder(
  folder: string,
  model: ModelFolder,
  dtype: FolderDtype,
  report: Report,
): number {
  const { config, tokenizer } = model;
  const own = stored[dtype];
  writeModelDescription(folder, config, tokenizer, { write: writeFileFlushed, dtype: own.config });
  const reader = model.open({ loaded: (done) => report('verifying the model', done) });
  try {
    const table = parameterTable(config);
    const tensors = table.map(({ name, shape }) => ({
      name,
      shape,
      read() {
        const values = reader.read(name);
        refuseOverflow(architectureOf(config).huggingFace.toTensorName(name), values, dtype);
        return values;
      },
    }));
    const count = table.reduce((sum, { shape }) => sum + elements(shape), 0);
    const size = (dtype === 'f32' ? 4 : 2) * count;
    const pieces = encodedWeights(config, tensors, metadataOf(model, dtype), own.weights);
    let bytes = 0;
    writeFileFlushed(join(folder, WEIGHTS), pieces, (written) => {
      bytes = written;
      report('writing the model', Math.min(1, written / size));
    });
    return bytes;
  } finally {
    reader.close();
  }
}

/** Losses were measured on the float32 weights; rounding changes them. */
function metadataOf(
  { config, tokenizer, metadata }: ModelFolder,
  dtype: FolderDtype,
): Record<string, string> {
  const kept = ['step', IS_AVERAGE, ...(dtype === 'f32' ? [VALIDATION_LOSS, VALIDATION_TOKENS] : [])];
  return {
    ...Object.fromEntries(Object.entries(metadata).filter(([key]) => kept.includes(key))),
    ...modelFacts(config, tokenizer),
  };
}
