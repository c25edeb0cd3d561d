/** Whole runs whose products are computed in float16: they learn what those in float32 learn. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { openGpu } from '../../src/engine/backend.ts';
import { chooseDevice } from '../../src/engine/device-choice.ts';
import { matrixTiles } from '../../src/engine/webgpu/subgroup-matrices.ts';
import { setTileFolder } from '../../src/engine/webgpu/tile-cache.ts';
import { webGpuVersion } from '../../src/engine/webgpu/version.ts';
import { tileNames, type Tile } from '../../src/engine/webgpu/tiles.ts';
import { packageVersion } from '../../src/package-version.ts';
import type { TrainModelOptions } from '../../src/train/settings.ts';
import type { RunDescription } from '../../src/train/train-handlers.ts';
import { trainModel } from '../../src/train/train-model.ts';
import { bytesOf, differences } from '../fixtures/run-bytes.ts';
import { borrowHalfGpu, gpuInfo, matrixUnit, withFloat16, withSubgroupMatrices } from './half-gpu.ts';

const root = mkdtempSync(join(tmpdir(), 'float16-'));
const at = (name: string): string => join(root, name);

beforeAll(() => {
  const words = ['the', 'whale', 'sea', 'ship', 'and', 'of', 'white', 'a', 'harpoon', 'man'];
  const lines = Array.from(
    { length: 400 },
    (_, i) => `${words[(i * i + 3 * i) % 10]} ${words[(i * 7) % 10]} ${words[(i * i * i) % 7]}.\n`,
  );
  writeFileSync(at('corpus.txt'), lines.join(''));
});

afterEach(async () => {
  setTileFolder(undefined);
  await chooseDevice('cpu'); // belongs to the process
});

const STEPS = 30;
const base: TrainModelOptions = {
  corpus: [at('corpus.txt')],
  nLayer: 1,
  nHead: 2,
  nEmbd: 32,
  blockSize: 32,
  batchSize: 4,
  learningRate: 0.005,
  maxIters: STEPS,
  lrDecayIters: STEPS,
  warmupIters: 4,
  evalInterval: STEPS,
  evalIters: 4,
  threads: 1,
};

interface Trained {
  readonly losses: readonly number[];
  readonly validationLoss: number;
  readonly run: RunDescription;
}

async function trainOn(
  device: 'cpu' | 'webgpu' | 'auto',
  options: TrainModelOptions,
  until = Infinity,
): Promise<Trained> {
  await chooseDevice(device);
  const losses: number[] = [];
  let run: RunDescription | undefined;
  const { validationLoss } = await trainModel(options, {
    start: (description) => (run = description),
    event: (event) => void (event.type === 'step' && losses.push(event.loss)),
    interrupted: () => losses.length >= until,
  });
  return { losses, validationLoss: validationLoss!, run: run! };
}

const half = { matmulPrecision: 'float16' } as const;

/** In nats per token; the losses fall by more than 1 in these runs. */
const TOLERANCE = 0.002;

const architectures: Record<string, Partial<TrainModelOptions>> = {
  'GPT-2, AdamW': {},
  'GPT-2, Muon, accumulated gradients': { optimizer: 'muon', gradientAccumulationSteps: 2 },
  'Qwen3, Muon': { arch: 'qwen3', nKvHead: 1, optimizer: 'muon' },
};

withFloat16('a run in float16', () => {
  test.each(Object.entries(architectures))(
    'of %s learns as one in float32, and twice to the same bits',
    async (name, changes) => {
      const options = { ...base, ...changes };
      const whole = await trainOn('webgpu', { ...options, outDir: at(`${name} float32`) });
      const once = await trainOn('webgpu', { ...options, ...half, outDir: at(`${name} once`) });
      expect(whole.run.backend).toMatch(/^webgpu(?!.*float16)/);
      expect(once.run.backend).toMatch(/^webgpu .*, float16 GEMM$/);
      expect(once.losses).not.toEqual(whole.losses);
      const [first, last] = [whole.losses[0], whole.losses.at(-1)!];
      expect(first - last).toBeGreaterThan(1);
      for (const [i, loss] of once.losses.entries())
        expect(Math.abs(loss - whole.losses[i]), `loss ${i}`).toBeLessThan(TOLERANCE);
      expect(Math.abs(once.validationLoss - whole.validationLoss)).toBeLessThan(TOLERANCE);
      await trainOn('webgpu', { ...options, ...half, outDir: at(`${name} twice`) });
      expect(differences(bytesOf(at(`${name} twice`)), bytesOf(at(`${name} once`)))).toEqual([]);
    },
  );

  test('is resumed in float16, on a CPU in float32, and in the precision that is asked for', async () => {
    const outDir = at('resumed');
    const options = { ...base, maxIters: 24, evalInterval: 24 };
    await trainOn('webgpu', { ...options, ...half, outDir }, 2);
    const again = { corpus: base.corpus, resume: outDir, threads: 1 };
    const gpu = await trainOn('webgpu', again, 2);
    expect(gpu.run.backend).toMatch(/float16 GEMM$/);
    expect(gpu.run.otherEngine).toBeUndefined();
    const auto = await trainOn('auto', again, 1);
    expect(auto.run.backend).toBe(gpu.run.backend);
    const cpu = await trainOn('cpu', again, 1);
    expect(cpu.run.backend).toMatch(/^wasm/);
    expect(cpu.run.otherEngine).toBe(gpu.run.backend);
    expect(cpu.run.settings).toMatchObject(half); // for the next GPU
    const single = await trainOn('webgpu', { ...again, matmulPrecision: 'float32' }, 1);
    expect(single.run.backend).toMatch(/^webgpu(?!.*float16)/);
    expect(single.run.otherEngine).toMatch(/^wasm/);
    const last = await trainOn('webgpu', again);
    expect(last.run.backend).toBe(single.run.backend);
    expect(last.run.otherEngine).toBeUndefined();
  });

  test('uses another device than runs in float32', async () => {
    const devices = [await openGpu(), await openGpu('float16')];
    expect(devices.map(({ name }) => name.endsWith(', float16 GEMM'))).toEqual([false, true]);
    for (const device of devices) await device.close();
  });
});

/** Lets the next GPU that is opened in float16 have one tile for everything, as if it had been measured. */
function rememberTile(tile: Tile): void {
  const { vendor, architecture, device, description } = gpuInfo;
  const key = JSON.stringify([
    packageVersion(),
    webGpuVersion(),
    vendor,
    architecture,
    device,
    description,
    'float16',
  ]);
  const names = tileNames({ small: tile, medium: tile, large: tile, huge: tile });
  writeFileSync(at('gpu-tiles.json'), JSON.stringify({ [key]: names }));
  setTileFolder(root);
}

withSubgroupMatrices('a run on subgroup matrices', () => {
  test('learns as one in float32', async () => {
    const options = { ...base, ...half, threads: 2 }; // an engine that no other test shares
    const smallest = matrixTiles(matrixUnit!, 16_384).at(-1)!;
    expect((await borrowHalfGpu()).candidates).toContainEqual(smallest);
    rememberTile(smallest);
    const matrices = await trainOn('webgpu', { ...options, outDir: at('matrices') });
    setTileFolder(undefined);
    const whole = await trainOn('webgpu', { ...base, outDir: at('whole') });
    const tiled = await trainOn('webgpu', { ...options, threads: 1, outDir: at('tiled') });
    expect(matrices.run.backend).toMatch(/, float16 GEMM, matrix tiles [0-9a-f]{4}$/);
    expect(matrices.losses).not.toEqual(tiled.losses); // sums in another order
    for (const [i, loss] of matrices.losses.entries())
      expect(Math.abs(loss - whole.losses[i]), `loss ${i}`).toBeLessThan(TOLERANCE);
  });
});
