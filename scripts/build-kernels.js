/**
 * Compiles the AssemblyScript kernels, once for each mode a JavaScript engine may offer, into dist/kernels/. Runs after the
 * TypeScript build, whose table of instructions it turns into the kernels' dispatcher: a kernel that the table names and
 * src/kernels/ lacks is a compile error.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { main as compile } from 'assemblyscript/asc';
import { signatures } from '../dist/engine/signatures.js';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Which file of src/kernels/ has which kernels. */
const kernelFiles = {
  attention: ['attention', 'attentionBackward', 'attentionCached'],
  elementwise: ['add', 'copy', 'gelu', 'geluBackward', 'relu', 'reluBackward'],
  embedding: ['embedding', 'embeddingBackward', 'columnSum'],
  'gemm/gemm': ['gemm'],
  loss: ['crossEntropy', 'crossEntropyBackward', 'meanLoss', 'meanLossBackward'],
  normalisation: [
    'softmax',
    'softmaxBackward',
    'layerNorm',
    'layerNormBackward',
    'layerNormParametersBackward',
  ],
  optimizer: ['globalNorm', 'adamw', 'sgd'],
  random: ['dropout'],
};

/** The tile of the micro-kernel and whether multiply-add is fused, see src/kernels/gemm/micro-kernel.ts. */
const variants = {
  simd: { RELAXED: 0, MR: 4, NR: 8 },
  relaxed: { RELAXED: 1, MR: 6, NR: 8 },
  revectorize: { RELAXED: 1, MR: 6, NR: 16 },
};

const options = [
  '--optimizeLevel 3 --shrinkLevel 0 --converge --noAssert --runtime stub',
  '--enable simd --enable relaxed-simd --enable threads',
  '--importMemory --sharedMemory --initialMemory 32 --maximumMemory 65536',
  '--memoryBase 4096', // below are the control words, see src/kernels/threads.ts
].flatMap((line) => line.split(' '));

/** The dispatcher: reads an instruction's words and calls its kernel; returns where the next one starts. */
function dispatcher() {
  const cases = Object.entries(signatures).map(([kernel, parameters], opcode) => {
    let word = 1;
    const next = (type) => `load<${type}>(at, ${4 * word++})`;
    const args = Object.values(parameters).flatMap((role) => {
      if (role === 'size') return [next('i32')];
      if (role === 'scalar') return [next('f32')];
      return role === 'accumulate' ? [next('u32'), next('i32')] : [next('u32')];
    });
    return `  case ${opcode}:\n    ${kernel}(thread, threads, ${args.join(', ')});\n    return at + ${4 * word};`;
  });
  const imports = Object.entries(kernelFiles).map(
    ([file, kernels]) => `import { ${kernels.join(', ')} } from '../${file}';`,
  );
  return `// Written by scripts/build-kernels.js from engine/signatures.ts.
${imports.join('\n')}

export function execute(at: usize, thread: i32, threads: i32): usize {
  switch (load<i32>(at)) {
${cases.map((text) => text.replace(/^/gm, '  ')).join('\n')}
    default:
      unreachable();
  }
  return 0;
}
`;
}

mkdirSync(new URL('../src/kernels/generated/', import.meta.url), { recursive: true });
writeFileSync(new URL('../src/kernels/generated/dispatch.ts', import.meta.url), dispatcher());

for (const [name, constants] of Object.entries(variants)) {
  const constantOptions = Object.entries(constants).flatMap(([key, value]) => ['--use', `${key}=${value}`]);
  const files = ['src/kernels/main.ts', '--baseDir', root, '--outFile', `dist/kernels/${name}.wasm`];
  const { error } = await compile([...files, ...options, ...constantOptions], { stderr: process.stderr });
  if (error) {
    process.exitCode = 1;
    break;
  }
}
