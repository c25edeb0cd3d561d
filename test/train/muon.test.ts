import { describe, expect, test } from 'vitest';
import { plan } from '../../src/autodiff/plan.ts';
import { costOf } from '../../src/engine/cost.ts';
import { gpt2Defaults } from '../../src/model/architectures/gpt2.ts';
import { llamaDefaults } from '../../src/model/architectures/llama-config.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { initialize } from '../../src/model/initialize.ts';
import { isLinearWeight } from '../../src/model/parameter.ts';
import { elements, parameterTable } from '../../src/model/parameters.ts';
import { orthogonalize, type MuonScale } from '../../src/train/muon.ts';
import { trainingPrograms, type Ranks } from '../../src/train/programs.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { backends } from '../fixtures/backends.ts';
import { Graph } from '../fixtures/graph.ts';
import { collisionsOfStrands } from '../fixtures/strands.ts';
import { relativeError } from '../fixtures/golden.ts';
import { copiesOf } from '../fixtures/tensors.ts';

/** Five iterations with the coefficients of Jordan et al. 2024, on a singular value. */
const afterIterations = (s: number): number => {
  for (let i = 0; i < 5; i++) s = 3.4445 * s - 4.775 * s ** 3 + 2.0315 * s ** 5;
  return s;
};

/** By power iteration. */
function largestSingularValue(matrix: readonly number[], columns: number): number {
  const rows = Array.from({ length: matrix.length / columns }, (_, i) =>
    matrix.slice(i * columns, (i + 1) * columns),
  );
  let v = Array.from({ length: columns }, (_, i) => 1 + 0.1 * i);
  let norm = 0;
  for (let i = 0; i < 100; i++) {
    const u = rows.map((row) => row.reduce((sum, x, j) => sum + x * v[j], 0));
    const next = v.map((_, j) => rows.reduce((sum, row, k) => sum + row[j] * u[k], 0));
    norm = Math.sqrt(Math.hypot(...next) / Math.hypot(...v));
    v = next.map((x) => x / Math.hypot(...next));
  }
  return norm;
}

describe.each(Object.entries(backends))('%s', (name, make) => {
  test.each([
    [40, 90],
    [90, 40],
    [40, 50],
    [31, 31],
    [1, 9],
  ])('a matrix [%i,%i] becomes one with the same singular vectors', async (rows, columns) => {
    // Singular values 1 to 10⁻³ between the vectors of two discrete cosine transforms.
    const basis = (n: number, i: number, k: number): number =>
      Math.sqrt((k === 0 ? 1 : 2) / n) * Math.cos((Math.PI * (i + 0.5) * k) / n);
    const M = Math.min(rows, columns);
    const values = Array.from({ length: M }, (_, k) => 10 ** ((-3 * k) / M));
    const norm = Math.hypot(...values);
    const matrix = (each: (s: number) => number): number[] =>
      Array.from({ length: rows * columns }, (_, at) =>
        values.reduce(
          (sum, s, k) =>
            sum + each(s) * basis(rows, Math.floor(at / columns), k) * basis(columns, at % columns, k),
          0,
        ),
      );
    const graph = new Graph();
    const x = graph.input('x', [rows, columns]);
    const result = orthogonalize(graph.t, x);
    const { valueOf } = await graph.run(await make(), [[x, matrix((s) => s)]], [result]);
    const expected = matrix((s) => afterIterations(s / norm));
    // A Gram matrix has the squares of the singular values, 1 to 10⁻⁶, of which float32 keeps one digit at the lower end.
    expect(relativeError(await valueOf(result), expected)).toBeLessThan(
      name === 'reference float64' ? 1e-6 : 5e-4,
    );
  });

  const small = { vocabSize: 8, blockSize: 8, nLayer: 1, nHead: 2, nEmbd: 8, dropout: 0 };
  const options = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0, momentum: 0.9, gradClip: 0 };
  const ids = Int32Array.from({ length: 8 }, (_, i) => (i * 3) % 8);

  test.each([
    ['GPT-2, whose matrices are stored [in,out]', { ...gpt2Defaults, ...small }, 'c_fc.weight', 'columns'],
    [
      'Llama, whose matrices are stored [out,in]',
      { ...llamaDefaults, arch: 'llama', ...small },
      'up_proj.weight',
      'rows',
    ],
  ] as const)('with the scale neuron, all neurons move equally far: %s', async (_, config, wide, neurons) => {
    const lengthsOfMoves = async (muonScale: MuonScale): Promise<number[]> => {
      const programs = trainingPrograms({
        config,
        batchSize: 1,
        microBatches: 1,
        optimizer: 'muon',
        muonScale,
      });
      const trainer = new Trainer(await make(), programs, { ...options, optimizer: 'muon' }, 1);
      trainer.initialize();
      const matrix = async () =>
        (await copiesOf(trainer.parameters())).find((each) => each.name.endsWith(wide))!;
      const before = await matrix();
      await trainer.step(0, [{ inputs: ids, targets: ids.toReversed() }], 0, 0.02);
      const { data } = await matrix();
      const { shape } = parameterTable(config).find((each) => each.name.endsWith(wide))!;
      const squares = new Float64Array(neurons === 'rows' ? shape[0] : shape[1]);
      for (const [i, x] of Array.from(data).entries()) {
        const neuron = neurons === 'rows' ? Math.floor(i / shape[1]) : i % shape[1];
        squares[neuron] += (x - before.data[i]) ** 2;
      }
      return Array.from(squares, Math.sqrt);
    };
    for (const length of await lengthsOfMoves('neuron')) expect(length).toBeCloseTo(0.02, 6);
    const unequal = await lengthsOfMoves('matrix');
    expect(Math.max(...unequal) / Math.min(...unequal)).toBeGreaterThan(1.1);
  });

  test.each([
    ['up_proj', 4],
    ['down_proj', 1],
    ['q_proj', 1],
  ])(
    'with the scale matrix, %s moves by √max(1, out/in) = %d times an orthogonal matrix',
    async (wide, scale) => {
      const config = { ...llamaDefaults, arch: 'llama', ...small, nInner: 16 * small.nEmbd };
      const programs = trainingPrograms({
        config,
        batchSize: 1,
        microBatches: 1,
        optimizer: 'muon',
        muonScale: 'matrix',
      });
      const trainer = new Trainer(await make(), programs, { ...options, optimizer: 'muon' }, 1);
      trainer.initialize();
      const matrix = async () =>
        (await copiesOf(trainer.parameters())).find((each) => each.name.endsWith(`${wide}.weight`))!;
      const before = await matrix();
      await trainer.step(0, [{ inputs: ids, targets: ids.toReversed() }], 0, 0.02);
      const { data } = await matrix();
      const { shape } = parameterTable(config).find((each) => each.name.endsWith(`${wide}.weight`))!;
      const norm = largestSingularValue(
        Array.from(data, (x, i) => x - before.data[i]),
        shape[1],
      );
      // Five iterations leave the larger singular values between 0.68 and 1.2.
      expect(norm / (0.02 * scale)).toBeGreaterThan(0.68);
      expect(norm / (0.02 * scale)).toBeLessThan(1.2);
    },
  );

  test('the learning rate of matrices is independent of the other', async () => {
    const config = { ...gpt2Defaults, ...small };
    const programs = trainingPrograms({ config, batchSize: 1, microBatches: 1, optimizer: 'muon' });
    const changedBy = async (learningRate: number, matrixLearningRate: number): Promise<string[]> => {
      const trainer = new Trainer(await make(), programs, { ...options, optimizer: 'muon' }, 1);
      trainer.initialize();
      const before = await copiesOf(trainer.parameters());
      await trainer.step(0, [{ inputs: ids, targets: ids.toReversed() }], learningRate, matrixLearningRate);
      const after = await copiesOf(trainer.parameters());
      return before
        .filter(({ data }, i) => data.some((value, at) => value !== after[i].data[at]))
        .map((tensor) => tensor.name);
    };
    const matrices = ['attn.c_attn', 'attn.c_proj', 'mlp.c_fc', 'mlp.c_proj'].map((at) => `h.0.${at}.weight`);
    expect((await changedBy(0, 0.02)).toSorted()).toEqual(matrices);
    const others = await changedBy(1e-3, 0);
    expect(others).toContain('wte.weight');
    expect(others.filter((parameter) => matrices.includes(parameter))).toEqual([]);
  });
});

test.each([[[128, 352]], [[352, 128]]])('a matrix %j itself is in two GEMMs only', (shape) => {
  const graph = new Graph();
  orthogonalize(graph.t, graph.input('x', shape));
  const { instructions } = plan(graph.t.nodes, graph.layout.end);
  const large = instructions.filter(
    ({ kernel, args }) =>
      (kernel === 'gemm' && Math.max(args.M, args.N, args.K) > 128) ||
      (kernel === 'gemmSymmetric' && args.K > 128),
  );
  expect(large).toHaveLength(2);
});

type Shape = Pick<ModelConfig, 'nLayer' | 'nHead' | 'nEmbd'>;

const llamaOf = (shape: Shape) => ({
  ...llamaDefaults,
  arch: 'llama',
  vocabSize: 8,
  blockSize: 8,
  dropout: 0,
  ...shape,
});

/** The instructions of Muon's update of a Llama. */
const updateOf = (shape: Shape, more: { microBatches?: number; ranks?: Ranks } = {}) => {
  const config = llamaOf(shape);
  return trainingPrograms({ config, batchSize: 1, microBatches: 1, optimizer: 'muon', ...more }).update
    .instructions;
};

test('one thread updates a small matrix, all together update a large one, and no update depends on another', () => {
  const shape = { nLayer: 2, nHead: 2, nEmbd: 16 };
  const small = updateOf(shape);
  const strandsOf = (label: string) =>
    new Set(small.filter((each) => each.label.includes(label)).map(({ strand }) => strand));
  const matrices = parameterTable(llamaOf(shape)).filter(isLinearWeight);
  expect(matrices).toHaveLength(14);
  for (const { name } of matrices) expect([...strandsOf(name)]).toEqual([expect.any(Number)]);
  expect(new Set(matrices.flatMap(({ name }) => [...strandsOf(name)])).size).toBe(14);
  expect(collisionsOfStrands(small)).toEqual([]);

  const large = updateOf({ ...shape, nEmbd: 512 });
  expect(large.some(({ kernel }) => kernel === 'muonUpdate')).toBe(true);
  expect(large.filter(({ strand }) => strand !== undefined)).toEqual([]);
});

test('many small matrices share sixteen strands of about equal cost', () => {
  const update = updateOf({ nLayer: 6, nHead: 4, nEmbd: 64 });
  const flops = new Map<number, number>();
  for (const instruction of update)
    if (instruction.strand !== undefined)
      flops.set(instruction.strand, (flops.get(instruction.strand) ?? 0) + costOf(instruction).flops);
  expect(flops.size).toBe(16);
  expect(Math.max(...flops.values()) / Math.min(...flops.values())).toBeLessThan(2);
  expect([...flops.values()]).toEqual([...flops.values()].toSorted((a, b) => b - a)); // the costliest begin first
  expect(collisionsOfStrands(update)).toEqual([]);
});

test.each([0, 1])(
  'rank %i of two has strands for the matrices that it owns, however many ranges they are in',
  (rank) => {
    const update = updateOf(
      { nLayer: 6, nHead: 4, nEmbd: 64 },
      { microBatches: 2, ranks: { rank, size: 2 } },
    );
    const strands = update.map(({ strand }) => strand);
    expect(new Set(strands.filter((strand) => strand !== undefined)).size).toBe(16);
    const [first, last] = [
      strands.findIndex((each) => each !== undefined),
      strands.findLastIndex((each) => each !== undefined),
    ];
    expect(strands.slice(first, last + 1)).not.toContain(undefined); // all of them are adjacent
    expect(collisionsOfStrands(update)).toEqual([]);
  },
);

test('the scheme fan-in applies to GPT-2: matrices of 1/√C, residual branches that start at 0', () => {
  const config = { ...gpt2Defaults, vocabSize: 8, blockSize: 8, nLayer: 1, nHead: 2, nEmbd: 64, dropout: 0 };
  const spread = (name: string): number => {
    let squares = 0;
    const targets = parameterTable(config)
      .filter((parameter) => parameter.name === name)
      .map((parameter) => ({
        ...parameter,
        write: (data: ArrayLike<number>) => {
          squares += Array.from(data).reduce((sum, x) => sum + x * x, 0);
        },
      }));
    initialize(config, 1, targets, { initialization: 'fan-in' });
    return Math.sqrt(squares / elements(targets[0].shape));
  };
  expect(spread('h.0.attn.c_attn.weight')).toBeCloseTo(1 / 8, 2);
  expect(spread('h.0.mlp.c_fc.weight')).toBeCloseTo(1 / 8, 2);
  expect(spread('h.0.attn.c_proj.weight')).toBe(0);
  expect(spread('h.0.mlp.c_proj.weight')).toBe(0);
  expect(spread('wte.weight')).toBeCloseTo(0.02, 2); // it is the output head as well
});
