import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { chooseBackend } from '../../../src/engine/backend.ts';
import type { Instruction } from '../../../src/engine/instruction.ts';
import { loadMacroKernel } from '../../../src/engine/native/load.ts';
import { whyNotNative } from '../../../src/engine/native/trial.ts';
import { createWasmBackend, forceVariant, type WasmBackend } from '../../../src/engine/wasm.ts';

const engine = new URL('../../../dist/engine/wasm.js', import.meta.url).href;
const script = `
  import { createWasmBackend } from ${JSON.stringify(engine)};
  const { variant, rejected, close } = await createWasmBackend({ threads: 2 });
  console.log(JSON.stringify({ variant, rejected }));
  process.exit();`;

/** The engine that a process chooses, and what it prints to stderr. */
function choiceOf(...flags: string[]) {
  const args = [...flags, '--input-type=module', '--eval', script];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  return { ...(JSON.parse(stdout) as { variant: string; rejected: { reason: string }[] }), stderr };
}

describe.runIf(process.platform === 'linux' && process.arch === 'x64')('without machine code', () => {
  test("Node's permission model leaves the work to WebAssembly, without a word", () => {
    const { variant, rejected, stderr } = choiceOf('--permission', '--allow-fs-read=*', '--allow-worker');
    expect(variant).not.toBe('avx512');
    expect(rejected[0]).toEqual({ what: 'avx512', reason: expect.stringContaining('--allow-ffi') });
    expect(stderr).not.toContain('ffi');
  });

  test('a Node without node:ffi is to blame only where the processor has AVX-512 or cannot be asked', () => {
    const reasonWith = (...flags: string[]) => choiceOf('--no-experimental-ffi', ...flags).rejected[0].reason;
    const hasAvx512 = /\bavx512f\b/.test(readFileSync('/proc/cpuinfo', 'latin1'));
    expect(reasonWith()).toMatch(hasAvx512 ? /^it needs Node 26/ : /^it needs a processor with AVX-512$/);
    const root = fileURLToPath(new URL('../../../', import.meta.url));
    expect(reasonWith('--permission', '--allow-ffi', '--allow-worker', `--allow-fs-read=${root}`)).toMatch(
      /^it needs a processor with AVX-512 and Node 26/,
    );
  });

  test('a library that is cut off is not loaded', () => {
    const folder = mkdtempSync(join(tmpdir(), 'machine-code-'));
    const path = join(folder, 'avx512.so');
    const library = readFileSync(new URL('../../../dist/kernels/avx512.so', import.meta.url));
    writeFileSync(path, library.subarray(0, 5000));
    const memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
    expect(() => loadMacroKernel(memory, folder)).toThrow(path);
  });
});

test('loading machine code prints no warning, in no thread', () => {
  expect(choiceOf().stderr).toBe('');
});

describe('the trial at start', () => {
  const opened: WasmBackend[] = [];
  const open = async (variant: 'relaxed' | 'simd'): Promise<WasmBackend> => {
    const backend = await createWasmBackend({ threads: 1, variant });
    opened.push(backend);
    return backend;
  };
  afterEach(() => Promise.all(opened.splice(0).map((backend) => backend.close())));

  /** Passes for a device with machine code: has members of its own, and all others from the present device. */
  const disguised = (present: () => WasmBackend, own: Partial<WasmBackend>): WasmBackend =>
    new Proxy(own as WasmBackend, {
      get: (_target, name) => {
        if (name in own) return Reflect.get(own, name) as unknown;
        const member: unknown = Reflect.get(present(), name);
        return typeof member === 'function' ? (member.bind(present()) as unknown) : member;
      },
    });

  test('refuses machine code that gives other bits', async () => {
    const [fused, unfused] = [await open('relaxed'), await open('simd')];
    let device = fused;
    const either = disguised(() => device, {
      useNative: (on: boolean) => (device = on ? fused : unfused),
    });
    expect(await whyNotNative(either, { mayBeSlower: true })).toMatch(/bit-identical/);
  });

  test('refuses machine code that is slower, unless it is asked for', async () => {
    const device = await open('relaxed');
    let isNative = false;
    const slow = disguised(() => device, {
      useNative: (on: boolean) => (isNative = on),
      load: (program: readonly Instruction[]) => {
        const loaded = device.load(program);
        const submit = (): void => {
          loaded.submit();
          for (const until = performance.now() + (isNative ? 20 : 0); performance.now() < until;);
        };
        return { submit };
      },
    });
    expect(await whyNotNative(slow, { mayBeSlower: false })).toMatch(/faster/);
    expect(await whyNotNative(slow, { mayBeSlower: true })).toBeUndefined();
  });
});

describe('a variant that is asked for', () => {
  afterEach(() => forceVariant(undefined));

  test('is the one that is started', async () => {
    forceVariant('simd');
    const backend = await createWasmBackend({ threads: 1 });
    expect(backend.variant).toBe('simd');
    await backend.close();
  });

  test('is not replaced by another one where it does not work', async () => {
    await expect(chooseBackend({ threads: 1, variant: 'none' as 'simd' })).rejects.toMatchObject({
      code: 'engine-unavailable',
    });
  });
});
