/** Softmax, LayerNorm and RMSNorm over rows, with their gradients: one workgroup per row. Formulas: signatures.ts. */
import { EXPONENTIALS, REDUCTIONS, rowwise, SIZE } from '../wgsl.ts';
import type { Dispatch, KernelDispatches } from '../dispatch.ts';
import { columnTerms } from './column-sums.ts';

/** A loop of a row's invocations over its columns `c`, at index `i` of [N,C]. */
const columns = (body: string): string => /* wgsl */ `
  for (var c = local; c < args.C; c += ${SIZE}u) {
    let i = row * args.C + c;
    ${body}
  }`;

const softmaxShader = `${EXPONENTIALS}${REDUCTIONS}${rowwise(`
  var largest = -3.4e38;
  ${columns('largest = max(largest, memory[args.x + i]);')}
  largest = maxOfGroup(largest, local);
  var sum = 0.0;
  ${columns('sum += exponential(memory[args.x + i] - largest);')}
  sum = sumOfGroup(sum, local);
  ${columns('memory[args.y + i] = exponential(memory[args.x + i] - largest) / sum;')}`)}`;
export const softmax: KernelDispatches<'softmax'> = (args) => [
  { kernel: 'softmax', args, shader: softmaxShader, workgroups: args.N },
];

/** dX (+)= y·(dY − Σ dY·y). */
const softmaxBackwardShader = `${REDUCTIONS}${rowwise(`
  var dot = 0.0;
  ${columns('dot += memory[args.dY + i] * memory[args.y + i];')}
  dot = sumOfGroup(dot, local);
  ${columns('put(args.dX + i, memory[args.y + i] * (memory[args.dY + i] - dot), args.dX_accumulates);')}`)}`;
export const softmaxBackward: KernelDispatches<'softmaxBackward'> = (args) => [
  { kernel: 'softmaxBackward', args, shader: softmaxBackwardShader, workgroups: args.N },
];

const layerNormShader = `${REDUCTIONS}${rowwise(`
  var sum = 0.0;
  ${columns('sum += memory[args.x + i];')}
  let mean = sumOfGroup(sum, local) / f32(args.C);
  var squares = 0.0;
  ${columns(`let d = memory[args.x + i] - mean;
    squares += d * d;`)}
  let rstd = 1.0 / sqrt(sumOfGroup(squares, local) / f32(args.C) + args.epsilon);
  ${columns(
    'memory[args.y + i] = (memory[args.x + i] - mean) * rstd * memory[args.weight + c] + memory[args.bias + c];',
  )}
  if (local == 0u) {
    memory[args.mean + row] = mean;
    memory[args.rstd + row] = rstd;
  }`)}`;
export const layerNorm: KernelDispatches<'layerNorm'> = (args) => [
  { kernel: 'layerNorm', args, shader: layerNormShader, workgroups: args.N },
];

/** dX (+)= rstd·(dX̂ − mean(dX̂) − x̂·mean(dX̂·x̂)) with dX̂ = dY·weight and x̂ = (x − mean)·rstd. */
const layerNormBackwardShader = `${REDUCTIONS}${rowwise(`
  let mean = memory[args.mean + row];
  let rstd = memory[args.rstd + row];
  var sumD = 0.0;
  var sumDX = 0.0;
  ${columns(`let d = memory[args.dY + i] * memory[args.weight + c];
    sumD += d;
    sumDX += d * ((memory[args.x + i] - mean) * rstd);`)}
  let meanD = sumOfGroup(sumD, local) / f32(args.C);
  let meanDX = sumOfGroup(sumDX, local) / f32(args.C);
  ${columns(`let d = memory[args.dY + i] * memory[args.weight + c];
    let normalized = (memory[args.x + i] - mean) * rstd;
    put(args.dX + i, rstd * (d - meanD - normalized * meanDX), args.dX_accumulates);`)}`)}`;
export const layerNormBackward: KernelDispatches<'layerNormBackward'> = (args): Dispatch[] => [
  { kernel: 'layerNormBackward', args, shader: layerNormBackwardShader, workgroups: args.N },
  ...columnTerms('layerNormBackward', args, { rows: args.N, columns: args.C }, [
    {
      sums: 'dWeight',
      term: 'memory[args.dY + i] * ((memory[args.x + i] - memory[args.mean + row]) * memory[args.rstd + row])',
    },
    { sums: 'dBias', term: 'memory[args.dY + i]' },
  ]),
];

const rmsNormShader = `${REDUCTIONS}${rowwise(`
  var squares = 0.0;
  ${columns('squares += memory[args.x + i] * memory[args.x + i];')}
  let rstd = 1.0 / sqrt(sumOfGroup(squares, local) / f32(args.C) + args.epsilon);
  ${columns('memory[args.y + i] = memory[args.x + i] * rstd * memory[args.weight + c];')}
  if (local == 0u) { memory[args.rstd + row] = rstd; }`)}`;
export const rmsNorm: KernelDispatches<'rmsNorm'> = (args) => [
  { kernel: 'rmsNorm', args, shader: rmsNormShader, workgroups: args.N },
];

/** As for LayerNorm, without the mean: x̂ = x·rstd. */
const rmsNormBackwardShader = `${REDUCTIONS}${rowwise(`
  let rstd = memory[args.rstd + row];
  var sumDX = 0.0;
  ${columns('sumDX += memory[args.dY + i] * memory[args.weight + c] * (memory[args.x + i] * rstd);')}
  let meanDX = sumOfGroup(sumDX, local) / f32(args.C);
  ${columns(`let d = memory[args.dY + i] * memory[args.weight + c];
    put(args.dX + i, rstd * (d - memory[args.x + i] * rstd * meanDX), args.dX_accumulates);`)}`)}`;
export const rmsNormBackward: KernelDispatches<'rmsNormBackward'> = (args): Dispatch[] => [
  { kernel: 'rmsNormBackward', args, shader: rmsNormBackwardShader, workgroups: args.N },
  ...columnTerms('rmsNormBackward', args, { rows: args.N, columns: args.C }, [
    { sums: 'dWeight', term: 'memory[args.dY + i] * (memory[args.x + i] * memory[args.rstd + row])' },
  ]),
];
