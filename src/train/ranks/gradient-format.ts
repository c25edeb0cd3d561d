/**
 * The formats in which gradients are sent. bfloat16 halves the bytes and keeps float32's range; every sum that is sent is
 * rounded to 8 bits of precision, and added to the others in float32. Which sums are sent depends on the number of ranks, and
 * so do the bits of the result. Packing is in place.
 */
import { fromBfloat16, toBfloat16 } from '../../half-precision.ts';
import { bytesOf } from './messages.ts';

export const gradientDtypes = ['f32', 'bf16'] as const;
export type GradientDtype = (typeof gradientDtypes)[number];

export interface GradientFormat {
  readonly bytesPerElement: number;
  /** The bytes to send; the numbers are overwritten. */
  readonly pack: (numbers: Float32Array) => Uint8Array;
  /** The part of the numbers' memory that receives their bytes. */
  readonly packedIn: (numbers: Float32Array) => Uint8Array;
  /** Expands the received bytes to the numbers, in place. */
  readonly unpack: (numbers: Float32Array) => void;
}

type SentGradients = { readonly reduceDtype: GradientDtype; readonly syncEvery?: number | undefined };

/** Whether ranks round the gradients that they send. */
export const areGradientsRounded = ({ reduceDtype, syncEvery }: SentGradients): boolean =>
  reduceDtype !== 'f32' && syncEvery === undefined;

/**
 * The number of ranks, if the bits of a run depend on it.
 *
 * @param ranks 1 without mpirun
 */
export const roundingRanks = (settings: SentGradients, ranks: number): number | undefined =>
  areGradientsRounded(settings) ? ranks : undefined;

const halvesOf = ({ buffer, byteOffset, length }: Float32Array, from: number): Uint16Array =>
  new Uint16Array(buffer, byteOffset + 2 * from, length);

export const gradientFormats: Readonly<Record<GradientDtype, GradientFormat>> = {
  f32: { bytesPerElement: 4, pack: bytesOf, packedIn: bytesOf, unpack: () => {} },
  bf16: {
    bytesPerElement: 2,
    pack: (numbers) => bytesOf(toBfloat16(numbers, halvesOf(numbers, 0))),
    packedIn: (numbers) => bytesOf(halvesOf(numbers, numbers.length)),
    unpack: (numbers) => void fromBfloat16(halvesOf(numbers, numbers.length), numbers),
  },
};
