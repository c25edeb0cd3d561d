/** Runs and outputs of other programs, as small as they can be. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../../src/write-file.ts';
import { writeModelDescription } from '../../src/checkpoint/model-folder.ts';
import { gpt2 } from '../../src/model/architectures/gpt2.ts';
import type { Run } from '../../src/checkpoint/run.ts';
import type { TrainerState } from '../../src/checkpoint/trainer-state.ts';
import { config, tensorsOf, tokenizer } from './tiny-model.ts';

/** A model whose every number is `value`. */
export const tensors = (value = 0) => tensorsOf(() => value);

export const stateOf = (
  step: number,
  changes: Partial<TrainerState> = {},
): Omit<TrainerState, 'format' | 'files' | 'log_bytes'> => ({
  step,
  updates: step,
  best_step: 0,
  best_loss: null,
  evaluations_without_improvement: 0,
  good_step: 0,
  health: {
    recent_losses: [],
    overcome_spikes: [],
    skipped_in_a_row: 0,
    skipped_loss: null,
    rollbacks: 0,
    learning_rate_factor: 1,
  },
  tokens_seen: 100,
  seed: 1,
  corpus_sha256: 'x',
  validation_sha256: null,
  engine: 'none',
  options: {},
  ...changes,
});

/** A checkpoint whose parameters are all `step` and whose moments are all `−step`. @param average of its average, if it has one */
export const saveCheckpoint = (
  run: Run,
  step: number,
  changes: Partial<TrainerState> = {},
  average?: number,
): Promise<void> =>
  run.saveCheckpoint(
    {
      parameters: tensors(step),
      moments: tensors(-step),
      average: average === undefined ? undefined : tensors(average),
    },
    stateOf(step, changes),
  );

/** The output folder of Hugging Face's Trainer with one checkpoint, as transformers 5 leaves it. */
export function writeTrainerOutput(folder: string, step: number, { atTop = false } = {}): void {
  const checkpoint = join(folder, `checkpoint-${step}`);
  mkdirSync(checkpoint, { recursive: true });
  for (const place of atTop ? [folder, checkpoint] : [checkpoint]) writeForeignModel(place, step);
  const state = {
    best_metric: null,
    epoch: 1,
    global_step: step,
    is_world_process_zero: true,
    log_history: [{ epoch: 1, loss: 2.5, step }],
    max_steps: step,
  };
  writeFileSync(join(checkpoint, 'trainer_state.json'), JSON.stringify(state, undefined, 2));
  for (const file of ['optimizer.pt', 'scheduler.pt', 'rng_state.pth', 'training_args.bin'])
    writeFileSync(join(checkpoint, file), 'PK\u0003\u0004');
}

/** Weights without any metadata of ours, all of one value. */
function writeForeignModel(folder: string, value: number): void {
  writeModelDescription(folder, config, tokenizer);
  const named = tensors(value).map((tensor) => ({
    ...tensor,
    name: gpt2.huggingFace.toTensorName(tensor.name),
  }));
  let end = 0;
  const header = {
    __metadata__: { format: 'pt' },
    ...Object.fromEntries(
      named.map(({ name, shape, data }) => [
        name,
        { dtype: 'F32', shape, data_offsets: [end, (end += data.byteLength)] },
      ]),
    ),
  };
  const json = JSON.stringify(header);
  const padded = Buffer.from(json.padEnd(Math.ceil(json.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  writeFileAtomic(join(folder, 'model.safetensors'), [length, padded, ...named.map(({ data }) => data)]);
}
