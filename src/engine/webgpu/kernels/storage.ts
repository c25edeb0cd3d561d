import { Q8_BLOCK, Q8_BLOCK_BYTES } from '../../q8.ts';
import type { Storage } from '../../signatures.ts';

/** Number i of a type with two numbers per word. */
const half = (widened: string): string => /* wgsl */ `
fn readWeight(table: u32, i: u32) -> f32 {
  let bits = (bitcast<u32>(memory[table + i / 2u]) >> (16u * (i % 2u))) & 0xffffu;
  return ${widened};
}`;

/**
 * `readWeight(table, i)`, number i of weights of each type: a 16-bit type has two numbers in an element of memory, q8 blocks
 * of 32 numbers in nine (see q8.ts).
 */
export const readWeight: Readonly<Record<Storage, string>> = {
  f32: 'fn readWeight(table: u32, i: u32) -> f32 { return memory[table + i]; }',
  bf16: half('bitcast<f32>(bits << 16u)'),
  f16: /* wgsl */ `
fn widenHalf(bits: u32) -> f32 {
  let sign = (bits & 0x8000u) << 16u;
  let magnitude = bits & 0x7fffu;
  if (magnitude < 0x400u) { // subnormal, or 0: in units of 2⁻²⁴
    return bitcast<f32>(sign | bitcast<u32>(f32(magnitude) * 5.9604644775390625e-8));
  }
  return bitcast<f32>(sign | ((magnitude << 13u) + 0x38000000u));
}
${half('widenHalf(bits)')}`,
  q8: /* wgsl */ `
fn readWeight(table: u32, i: u32) -> f32 {
  let block = table + (i / ${Q8_BLOCK}u) * ${Q8_BLOCK_BYTES / 4}u;
  let inBlock = i % ${Q8_BLOCK}u;
  let four = bitcast<i32>(memory[block + 1u + inBlock / 4u]);
  return memory[block] * f32(extractBits(four, 8u * (inBlock % 4u), 8u));
}`,
};
