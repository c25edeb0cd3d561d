import { expect, test } from 'vitest';
import { encode, encoded, sizeOf, type GgufDtype } from '../../src/export/quantization.ts';

/** Blocks of ordinary numbers, of zeros, of float16 subnormals, and of numbers halfway between two levels. */
const x = Float32Array.from([
  ...Array.from({ length: 32 }, (_, i) => (((i * 7919) % 1009) - 504) / 256),
  ...Array.from({ length: 32 }, () => 0),
  ...Array.from({ length: 32 }, (_, i) => (((i * 104_729) % 2039) - 1019) * 2 ** -31),
  ...Array.from({ length: 32 }, (_, i) => (-1) ** i * (i + 0.5) * (127 / 31.5)),
]);

/** Computed by gguf 0.19: `quants.quantize(x, GGMLQuantizationType.Q8_0).tobytes().hex()`. */
const golden = {
  f16: 'e0bf803d383ac031b0b610bc74beec3e883c483800ac48b908bd6cbff43d203bb034e0b438bb00be603ffc3c3039802a60b894bcf8be683e043c803620b250ba000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000880028004000780018005000580010006000480020008000280030007800180050005800100060004800200080002800300078001800500058000000600048008400cc60a490ecb894c8bcd8d4e8fcf4950cad04b51ccd14d52ced24f53d0d3285469d4a954ead42a556bd5ab55ecd52c566dd6ad56eed62e576fd7af57f0d7',
  bf16: 'fcbfb03f473f383ed6be82bfcebfde3f913f093f80bd29bfa1bfeebfbe3f643f963e9cbe67bfc0bfec3fa03f263f503d0cbf92bfdfbfcd3f803fd03e44be4abf00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000ffb40cb46634d2b444b3a034a4b42633ce346eb40434fb3414b45e34d6b464b39c34a8b40633ca3476b4f833f7341cb45634dab482b39834acb4cc32c6347eb40140c2c0214162c19141b1c1d241f2c1094219c2294239c24a425ac26a427ac285428dc295429dc2a542adc2b542bdc2c642cec2d642dec2e642eec2f642fec2',
  q8_0: 'f0238159320ce5be98704923fcd5af88603913ecc69f77502a03ddb69067411af4cd00000000000000000000000000000000000000000000000000000000000000000000000081dd3998f450ae0a67c5217ddb3796f24eac0865c31f7bd93594f04caa0663c1003c02fa0af212ea1ae222da2ad232ca3ac243b94bb153a95ba163996b9173897b81',
  q4_0: 'e033907e4b29f6d4b18f6d3a18f5c3a07e5c0080888888888888888888888888888888880100d0369ce147adf369be147adf368be147f04bc848d937d937ea26ea26fb15fb15fc04',
} as const;

test.each(Object.keys(golden) as (keyof typeof golden)[])('%s has the bytes of the reference', (dtype) => {
  expect(Buffer.from(encode(dtype, x)).toString('hex')).toBe(golden[dtype]);
});

test.each<GgufDtype>(['f32', 'f16', 'bf16', 'q8_0', 'q4_0'])('%s chunks join to the whole', (dtype) => {
  const long = Float32Array.from({ length: 2 ** 18 + 64 }, (_, i) => ((i * 7919) % 1009) / 256 - 2);
  const bytes = Buffer.concat([...encoded(dtype, long)]);
  expect(bytes.length).toBe(sizeOf(dtype, long.length));
  expect(bytes.equals(encode(dtype, long))).toBe(true);
});
