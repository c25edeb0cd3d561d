/** Precision of the operands of matrix products in training. Sums are float32 in either, as are all other kernels. */
export const matmulPrecisions = ['float32', 'float16'] as const;
export type MatmulPrecision = (typeof matmulPrecisions)[number];
