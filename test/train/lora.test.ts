import { describe, expect, test } from 'vitest';
import { gpt2Defaults } from '../../src/model/architectures/gpt2.ts';
import { linearLayers } from '../../src/model/lora.ts';
import type { Parameter } from '../../src/model/parameter.ts';
import { parameterTable } from '../../src/model/parameters.ts';
import { stateBytes, trainingPrograms } from '../../src/train/programs.ts';
import { Trainer, type TrainerOptions } from '../../src/train/trainer.ts';
import { backends } from '../fixtures/backends.ts';
import { golden, relativeError } from '../fixtures/golden.ts';
import { copiesOf, writeTensors } from '../fixtures/tensors.ts';

const { model, lora } = golden;
const base = { ...gpt2Defaults, ...model.config, dropout: 0 };
const config = {
  ...base,
  lora: {
    rank: lora.rank,
    alpha: lora.alpha,
    dropout: 0,
    targets: linearLayers(parameterTable(base)),
    isRankStabilized: false,
    base: { path: 'base' },
  },
};
const adamw: TrainerOptions = {
  optimizer: 'adamw',
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-8,
  weightDecay: 0.1,
  momentum: 0,
  gradClip: 0,
};
const shape = { batchSize: model.batchSize, microBatches: 1, optimizer: 'adamw' } as const;

describe.each(Object.entries(backends))('%s agrees with PEFT', (name, make) => {
  const exact = name === 'reference float64';

  test('losses, gradients and three steps of adapters on every linear layer', async () => {
    const trainer = new Trainer(await make(), trainingPrograms({ ...shape, config }), adamw, 1);
    writeTensors(trainer.parameters(), { ...model.parameters, ...lora.start });
    for (const [step, expected] of lora.losses.entries()) {
      const batch = {
        inputs: Int32Array.from(model.ids[step]),
        targets: Int32Array.from(model.targets[step]),
      };
      const { loss } = await trainer.step(step, [batch], 1e-2);
      expect(Math.abs(loss / expected - 1), `loss of step ${step}`).toBeLessThan(exact ? 1e-7 : 1e-5);
      if (step > 0) continue;
      const gradients = await copiesOf(trainer.gradients());
      expect(gradients.map((tensor) => tensor.name)).toEqual(
        expect.arrayContaining(Object.keys(lora.gradients)),
      );
      expect(gradients).toHaveLength(Object.keys(lora.gradients).length);
      for (const { name: parameter, data } of gradients)
        expect(relativeError(data, lora.gradients[parameter]), parameter).toBeLessThan(exact ? 1e-8 : 1e-5);
    }
    for (const { name: parameter, data } of await copiesOf(trainer.parameters())) {
      const expected = lora.parameters[parameter] ?? model.parameters[parameter];
      // AdamW's first steps are as large for the smallest gradients, which float32 rounds most.
      expect(relativeError(data, expected), parameter).toBeLessThan(exact ? 1e-6 : 1e-3);
    }
  });
});

describe('training adapters', () => {
  const programs = trainingPrograms({ ...shape, config });

  test('keeps no gradients and no moments of the frozen model', () => {
    const trained = programs.model.block.parameters.filter(({ parameter }) => parameter.isTrained);
    expect(trained.map(({ parameter }) => parameter.role)).toEqual(trained.map(() => 'adapter'));
    expect(programs.gradients.length).toBe(programs.model.block.trained);
    for (const { region } of programs.moments) expect(region.length).toBe(programs.model.block.trained);
  });

  test('stores frozen weights as the file of the base model does', () => {
    const isNarrow = ({ role }: Parameter): boolean => role === 'linear weight';
    const inHalf = {
      ...shape,
      config,
      frozenStorage: (parameter: Parameter) => (isNarrow(parameter) ? ('bf16' as const) : 'f32'),
    };
    const { model: placed } = trainingPrograms(inHalf);
    for (const { parameter, storage } of placed.block.parameters)
      expect(storage, parameter.name).toBe(isNarrow(parameter) ? 'bf16' : 'f32');
    const narrowed = parameterTable(base)
      .filter(isNarrow)
      .reduce((sum, { shape: [rows, columns] }) => sum + rows * columns, 0);
    expect(stateBytes({ ...shape, config }) - stateBytes(inHalf)).toBe(2 * narrowed);
    const averaged = trainingPrograms({ ...inHalf, hasAverage: true });
    for (const { storage } of averaged.model.block.parameters) expect(storage).toBe('f32');
  });

  test('records no gradient of a frozen weight, nor of anything before the first adapter', () => {
    const kernels = programs.forwardBackward.instructions.map(({ kernel, label }) => `${kernel} ${label}`);
    expect(kernels.filter((kernel) => kernel.startsWith('linearParametersBackward'))).toEqual([]);
    expect(kernels.filter((kernel) => kernel.startsWith('embeddingBackward'))).toEqual([]);
    expect(kernels).not.toContain('layerNormBackward h.0.ln_1 backward');
    // Of a frozen linear layer with adapters, only the gradient of its input.
    expect(kernels.filter((kernel) => kernel === 'gemm h.1.mlp.c_fc backward')).toHaveLength(1);
    expect(kernels.filter((kernel) => kernel === 'gemm h.0.attn.c_attn backward')).toEqual([]);
  });

  test('with one target needs backward passes only from there on', () => {
    const late = { ...config, lora: { ...config.lora, targets: ['h.1.mlp.c_proj'] } };
    const labels = trainingPrograms({ ...shape, config: late }).forwardBackward.instructions.map(
      ({ label }) => label,
    );
    expect(labels.filter((label) => label.includes('backward') && label.startsWith('h.0'))).toEqual([]);
    expect(labels.filter((label) => label.includes('attn') && label.includes('backward'))).toEqual([]);
  });
});
