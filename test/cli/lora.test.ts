/** Adapters on the command line: training, resuming, using and refusing them. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { openModelFolder } from '../../src/checkpoint/open-model.ts';
import { mergedModel } from '../../src/export/merged-model.ts';
import { factorNames } from '../../src/model/lora.ts';
import { bytesOf } from '../fixtures/run-bytes.ts';
import { expectRefusal, runInProcess } from './in-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'lora-'));
const path = (...names: string[]): string => join(folder, ...names);

async function gpt(line: string) {
  const result = await runInProcess([...line.split(/ +/).filter(Boolean), '--quiet'], folder);
  expect(result.code, result.stderr).toBe(0);
  return result;
}

const sample = (flags: string, cwd = folder) =>
  runInProcess(['sample', ...flags.split(' '), '--prompt', 'the', '--quiet'], cwd, '');

const SHAPE = '--n-layer 2 --n-head 2 --n-embd 32 --block-size 16 --batch-size 4 --max-iters 40';
const TRAINING =
  '--lora-dropout 0.1 --batch-size 3 --eval-interval 5 --warmup-iters 2 --min-lr 1e-3 --lr-decay-iters 20';

beforeAll(async () => {
  writeFileSync(path('prose.txt'), 'It was a dark and stormy night; the rain fell in torrents.\n'.repeat(50));
  writeFileSync(path('verse.txt'), 'The sea, the stars, the rain, the night, and then a word.\n'.repeat(50));
  await gpt(`train prose.txt ${SHAPE} --arch qwen3 -o base`);
  await gpt(`train prose.txt ${SHAPE} --arch gpt2 --seed 2 -o other`);
  await gpt(
    `train verse.txt --init-from base --lora-rank 4 --learning-rate 1e-2 ${TRAINING} --max-iters 20 -o adapter`,
  );
}, 60_000);

const bytes = (...names: string[]): Buffer => readFileSync(path(...names));
const FILES = ['adapter_model.safetensors', 'metrics.jsonl', 'checkpoint-20/optimizer.safetensors'];

describe('a run with --lora-rank', () => {
  test('writes the layout of PEFT, without the frozen weights', () => {
    const config = JSON.parse(bytes('adapter/adapter_config.json').toString()) as Record<string, unknown>;
    expect(config).toMatchObject({
      base_model_name_or_path: 'base',
      peft_type: 'LORA',
      task_type: 'CAUSAL_LM',
      r: 4,
      lora_alpha: 8,
      lora_dropout: 0.1,
      fan_in_fan_out: false,
      target_modules: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
    });
    const model = bytes('adapter/adapter_model.safetensors').toString('latin1');
    expect(model).toContain('"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"');
    expect(model).not.toContain('embed_tokens');
  });

  test('leaves the base unchanged and lowers the loss', () => {
    const model = openModelFolder(path('adapter'), { base: path('base') });
    const base = openModelFolder(path('base')).open();
    const adapted = model.open();
    const name = 'layers.0.mlp.up_proj.weight';
    expect(adapted.read(name)).toEqual(base.read(name));
    expect(adapted.read(factorNames(name).B).some((x) => x !== 0)).toBe(true);
    for (const reader of [base, adapted]) reader.close();
    const losses = bytes('adapter/metrics.jsonl')
      .toString()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { val_loss_estimate?: number })
      .flatMap(({ val_loss_estimate: loss }) => loss ?? []);
    expect(Math.min(...losses)).toBeLessThan(losses[0]);
  });

  test('resumes to the same bytes, on any number of threads', async () => {
    const training = `train verse.txt --init-from base --lora-rank 4 --learning-rate 1e-2 ${TRAINING}`;
    await gpt(`${training} --max-iters 10 --threads 2 -o halves`);
    await gpt('train --resume halves --max-iters 20 --threads 3');
    const [halves, whole] = ['halves', 'adapter'].map((name) => bytesOf(path(name)));
    for (const file of FILES) expect(halves.get(file) === whole.get(file), file).toBe(true);
  });

  test('is bit-identical with a base in 16 bits and the same base in float32', async () => {
    await gpt('export base --format safetensors --dtype bf16 -o narrow');
    await gpt('export narrow --format safetensors --dtype f32 -o wide');
    const training = `train verse.txt --lora-rank 4 --learning-rate 1e-2 ${TRAINING}`;
    await gpt(`${training} --init-from wide --max-iters 10 -o of-wide`);
    await gpt(`${training} --init-from narrow --max-iters 6 -o of-narrow`);
    await gpt('train --resume of-narrow --max-iters 10');
    const [wide, narrow] = ['wide', 'narrow'].map((name) => {
      const log = bytes(`of-${name}/metrics.jsonl`).toString().trim().split('\n');
      const reader = openModelFolder(path(`of-${name}`), { base: path(name) }).open();
      const B = reader.read('layers.1.self_attn.v_proj.lora_B.weight');
      reader.close();
      return { B, log: log.map((line) => ({ ...(JSON.parse(line) as object), elapsed_seconds: 0 })) };
    });
    expect(narrow.B).toEqual(wide.B);
    expect(narrow.log).toEqual(expect.arrayContaining(wide.log.slice(0, 6)));
    expect(narrow.log.at(-1)).toEqual(wide.log.at(-1));
  });

  test('continues as another run, with its rank and targets', async () => {
    await gpt('train verse.txt --init-from adapter --learning-rate 0 --min-lr 0 --max-iters 1 -o further');
    const [before, after] = ['adapter', 'further'].map((name) => {
      const reader = openModelFolder(path(name), { base: path('base') }).open();
      const B = reader.read('layers.1.self_attn.v_proj.lora_B.weight');
      reader.close();
      return B;
    });
    expect(after).toEqual(before);
    await expectRefusal(
      'train verse.txt --init-from adapter --lora-rank 8 --max-iters 2 -o x'.split(' '),
      [2, 'conflicting-options', '--lora-rank … 8 … 4'],
      folder,
    );
  });
});

describe('an adapter with its base', () => {
  test('is sampled, evaluated and inspected as a model', async () => {
    expect((await sample('-m adapter -n 5 --greedy')).stdout).toMatch(/^the/);
    const losses = JSON.parse((await gpt('eval -m adapter --split val --json')).stdout) as {
      nats_per_token: number;
    };
    const end = bytes('adapter/metrics.jsonl').toString().trim().split('\n').at(-1)!;
    expect(losses.nats_per_token).toBeCloseTo((JSON.parse(end) as { val_loss: number }).val_loss, 12);
    expect((await gpt('inspect adapter')).stdout).toContain('adapters');
  });

  describe('after a move', () => {
    const moved = mkdtempSync(join(tmpdir(), 'lora-moved-'));
    beforeAll(() => {
      cpSync(path('adapter'), join(moved, 'runs/adapter'), { recursive: true });
      rmSync(join(moved, 'runs/adapter/checkpoint-20'), { recursive: true });
      cpSync(path('base'), join(moved, 'elsewhere'), { recursive: true });
    });

    test('is named with --base', async () => {
      const result = await sample('-m runs/adapter -n 3', moved);
      expect(result).toMatchObject({ code: 1 });
      expect(result.stderr).toContain('base_model_name_or_path');
      expect(result.stderr).toContain('--base');
      expect((await sample('-m runs/adapter --base elsewhere -n 3', moved)).code).toBe(0);
    });

    test('is not the adapter itself, or another folder of the same name', async () => {
      const line = (name: string) => sample(`-m ${join(moved, name)} -n 3`, join(moved, 'elsewhere'));
      cpSync(join(moved, 'runs/adapter'), join(moved, 'deep/runs/base'), { recursive: true });
      mkdirSync(join(moved, 'deep/runs/base/base'));
      expect((await line('deep/runs/base')).code).toBe(1);
      cpSync(path('base'), join(moved, 'deep/base'), { recursive: true });
      expect((await line('deep/runs/base')).code).toBe(0);
    });

    test.each(['runs/adapter/base', 'runs/base', 'base'])(
      'is found in or beside the adapter, or above it: %s',
      async (place) => {
        const fromElsewhere = () =>
          sample(`-m ${join(moved, 'runs/adapter')} -n 3`, join(moved, 'elsewhere'));
        expect((await fromElsewhere()).code).toBe(1);
        cpSync(path('base'), join(moved, place), { recursive: true });
        expect((await fromElsewhere()).code).toBe(0);
        rmSync(join(moved, place), { recursive: true });
      },
    );
  });

  test('is compared and reported with its base, wherever that is', async () => {
    rmSync(path('away'), { recursive: true, force: true });
    mkdirSync(path('away'));
    cpSync(path('adapter'), path('away/adapter'), { recursive: true });
    cpSync(path('base'), path('away/moved'), { recursive: true });
    const away = async (line: string) => {
      const result = await runInProcess(line.split(' '), path('away'));
      expect(result.code, result.stderr).toBe(0);
      return result.stdout;
    };
    await away('report adapter --base moved --threads 1 -o page.html -q');
    expect(bytes('away/page.html').toString()).toContain('lora_A');
    await away('report adapter moved --base moved -o both.html -q');
    const compared = JSON.parse(await away('compare adapter moved --base moved --json')) as {
      readonly runs: readonly { readonly folder: string }[];
    };
    expect(compared.runs.map((each) => each.folder)).toEqual(['adapter', 'moved']);
    writeFileSync(path('away/verse.txt'), bytes('verse.txt'));
    const lines = await away('eval verse.txt -m adapter -m moved --base moved --json -q --threads 1');
    const [adapted, base] = lines
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { readonly nats_per_token: number }).nats_per_token);
    expect(adapted).toBeLessThan(base);
  });

  test('becomes one model that computes the same', async () => {
    await gpt('export adapter --merge --dtype f32 -o merged');
    const { nats_per_token: loss } = JSON.parse((await gpt('eval verse.txt -m adapter --json')).stdout) as {
      nats_per_token: number;
    };
    const merged = JSON.parse((await gpt('eval verse.txt -m merged --json')).stdout) as {
      nats_per_token: number;
    };
    expect(merged.nats_per_token).toBeCloseTo(loss, 5);
    await gpt('export adapter -o merged.gguf');
    await gpt('export merged -o again.gguf');
    expect(bytes('merged.gguf').length).toBe(bytes('again.gguf').length);
  });

  test('GPT-2, whose weights are [in,out], is merged along the other axis', async () => {
    await gpt(
      'train verse.txt --init-from other --lora-rank 2 --lora-targets c_attn,mlp.c_proj --max-iters 5 -o small',
    );
    const model = openModelFolder(path('small'), { base: path('other') });
    expect(model.config.lora!.targets).toEqual(['c_attn', 'mlp.c_proj']);
    const [whole, parts] = [mergedModel(model).open(), model.open()];
    const W = parts.read('h.0.attn.c_attn.weight');
    const [A, B] = ['A', 'B'].map((factor) => parts.read(`h.0.attn.c_attn.lora_${factor}.weight`));
    const [C, i, o] = [32, 3, 70];
    const delta = 2 * (B[o * 2] * A[i] + B[o * 2 + 1] * A[C + i]);
    expect(whole.read('h.0.attn.c_attn.weight')[i * 3 * C + o]).toBeCloseTo(W[i * 3 * C + o] + delta, 6);
    expect(delta).not.toBe(0);
    expect(whole.read('h.0.attn.c_proj.weight')).toEqual(parts.read('h.0.attn.c_proj.weight'));
    for (const reader of [whole, parts]) reader.close();
  });
});

describe('options that do not fit are refused', () => {
  const train = 'train verse.txt -o x --max-iters 2';
  test.each([
    ['a rank of 0', `${train} --init-from base --lora-rank 0`, 'bad-option-value', '--lora-rank … 0'],
    ['no model', `${train} --lora-rank 4`, 'conflicting-options', '--lora-rank … --init-from'],
    [
      'an unknown target',
      `${train} --init-from base --lora-rank 4 --lora-targets q_porj`,
      'bad-option-value',
      '--lora-targets … q_porj … q_proj',
    ],
    [
      'Muon',
      `${train} --init-from base --lora-rank 4 --optimizer muon`,
      'conflicting-options',
      '--optimizer … muon',
    ],
    [
      '--base for a model that is no adapter',
      `${train} --init-from base --lora-rank 4 --base other`,
      'conflicting-options',
      '--base … base is not an adapter',
    ],
    ['--base for a whole model', 'inspect base --base other', 'conflicting-options', '--base … base'],
    ['--merge of a whole model', 'export base --merge', 'conflicting-options', '--merge … base'],
  ] as const)('%s', (_what, line, code, mentioned) =>
    expectRefusal(line.split(' '), [2, code, mentioned], folder),
  );
});

describe('an adapter that is not computed here is refused by its field', () => {
  const withFields = (fields: Record<string, unknown>): void => {
    rmSync(path('bad'), { recursive: true, force: true });
    cpSync(path('adapter'), path('bad'), { recursive: true });
    const config = JSON.parse(bytes('bad/adapter_config.json').toString()) as Record<string, unknown>;
    writeFileSync(path('bad/adapter_config.json'), JSON.stringify({ ...config, ...fields }));
  };
  test.each([
    [{ use_dora: true }, 'unsupported-format'],
    [{ modules_to_save: ['lm_head'] }, 'unsupported-format'],
    [{ bias: 'all' }, 'unsupported-format'],
    [{ layers_pattern: 'layers' }, 'unsupported-format'],
    [{ layers_to_transform: [0] }, 'unsupported-format'],
    [{ rank_pattern: { q_proj: 8 } }, 'unsupported-format'],
    [{ init_lora_weights: 'pissa' }, 'unsupported-format'],
    [{ some_later_field: 3 }, 'unsupported-format'],
    [{ peft_type: 'LOHA' }, 'unsupported-format'],
    [{ task_type: 'SEQ_CLS' }, 'unsupported-format'],
    [{ target_modules: '.*proj' }, 'unsupported-format'],
    [{ target_modules: 7 }, 'damaged-file'],
    [{ target_modules: ['c_attn'] }, 'mismatched-files'],
    [{ r: 0 }, 'damaged-file'],
    [{ r: 8 }, 'mismatched-files'],
    [{ lora_alpha: 'much' }, 'damaged-file'],
    [{ base_model_name_or_path: 'nowhere' }, 'file-not-found'],
  ] as const)('%j', async (fields, code) => {
    withFields(fields);
    const field = 'r' in fields && fields.r === 8 ? 'lora_A' : Object.keys(fields)[0];
    await expectRefusal('sample -m bad --prompt the -n 2'.split(' '), [1, code, field], folder);
  });

  test('one for another base', async () => {
    withFields({});
    await expectRefusal(
      'sample -m bad --base other --prompt the'.split(' '),
      [1, 'mismatched-files', 'target_modules'],
      folder,
    );
    cpSync(path('base'), path('retrained'), { recursive: true });
    await gpt('train --resume retrained --max-iters 45');
    withFields({ base_model_name_or_path: path('retrained') });
    await expectRefusal(
      'sample -m bad --prompt the'.split(' '),
      [1, 'mismatched-files', 'retrained … other weights'],
      folder,
    );
    await expectRefusal(
      'train --resume bad --base retrained --max-iters 30'.split(' '),
      [1, 'mismatched-files', 'retrained … other weights'],
      folder,
    );
  });
});
