import { afterEach, expect, test, vi } from 'vitest';
import type { LazyBackend } from '../../../src/engine/backend.ts';
import { chooseDevice, gpuMemoryLimit, leaveDeviceToRun } from '../../../src/engine/device-choice.ts';
import { UserError } from '../../../src/errors.ts';
import { checkAgreement } from '../../../src/train/ranks/agreement.ts';
import type { Readiness } from '../../../src/train/ranks/commands.ts';
import { follow } from '../../../src/train/ranks/follow.ts';
import { receiveMessage, sendMessage, TAG } from '../../../src/train/ranks/messages.ts';
import { failingGpu } from '../../fixtures/failing-gpu.ts';
import { failure } from '../../fixtures/failure.ts';
import { ranksInMemory } from '../../fixtures/ranks-in-memory.ts';

afterEach(async () => {
  vi.unstubAllGlobals();
  await chooseDevice('cpu');
});

test('ranks whose GPUs have other tiles of subgroup matrices do not train together', () => {
  const onGpu = (tiles: string) => ({ engine: `webgpu acme, float16 GEMM${tiles}`, version: '1.0.0' });
  const check = (others: string) =>
    checkAgreement({ hosts: ['ada', 'bob'] }, onGpu(', matrix tiles 3f2a'), [onGpu(others)]);
  expect(() => check(', matrix tiles 3f2a')).not.toThrow();
  for (const others of [', matrix tiles 3f2b', '']) {
    expect(() => check(others)).toThrow(failure('engine-unavailable', 'bob', 'round differently'));
    try {
      check(others);
    } catch (error) {
      expect(error).toMatchObject({ hint: expect.stringContaining('gpu-tiles.json') });
    }
  }
});

test.each([
  { named: 'none, as in a resumed run', choose: leaveDeviceToRun, isOnGpu: true, expected: 'a GPU' },
  { named: 'none, as in a resumed run', choose: leaveDeviceToRun, isOnGpu: false, expected: 'the CPU' },
  { named: 'auto', choose: () => chooseDevice('auto'), isOnGpu: true, expected: 'a GPU' },
  { named: 'cpu', choose: () => chooseDevice('cpu'), isOnGpu: true, expected: 'the CPU' },
])(
  'a rank whose device is $named opens $expected where isOnGpu of rank 0 is $isOnGpu',
  async ({ choose, isOnGpu, expected }) => {
    vi.stubGlobal('navigator', { gpu: { requestAdapter: () => Promise.resolve(failingGpu().adapter) } });
    await choose();
    const [leader, ranks] = ranksInMemory(2);
    const opened = (): string => (gpuMemoryLimit() === undefined ? 'the CPU' : 'a GPU');
    const engine: LazyBackend = {
      threads: 1,
      open: () => Promise.reject(new UserError('engine-unavailable', opened())),
      openFaster: () => Promise.resolve(),
      close: () => Promise.resolve(),
    };
    const following = follow(ranks, engine);
    const setUp = { type: 'set up', run: { matmulPrecision: 'float32', isOnGpu } };
    await sendMessage(leader, 1, TAG.command, setUp);
    const { head } = await receiveMessage<Readiness>(leader, 1, TAG.reply);
    expect(head).toEqual({ refusal: expected });
    await sendMessage(leader, 1, TAG.command, { type: 'end' });
    await receiveMessage(leader, 1, TAG.reply);
    await following;
  },
);
