/**
 * Compares products by a BLAS library with the reference over awkward shapes, and the bits of several numbers of threads:
 * `node blas.js LIBRARY`. Prints the name of the engine and the number of products compared.
 */
import { AWKWARD, kernelCases } from '../../dist/engine/kernel-cases.js';
import { createReferenceBackend } from '../../dist/engine/reference/backend.js';
import { compareKernel, resultsOf, tryKernel } from '../../dist/engine/try-kernel.js';
import { createWasmBackend } from '../../dist/engine/wasm.js';

const [path] = process.argv.slice(2);
const reference = createReferenceBackend('float32');
const devices = [];
for (const threads of [1, 2, 3, 5])
  devices.push(await createWasmBackend({ threads, blas: { path }, activeThreads: () => threads }));

const shapes = AWKWARD.flatMap((M) => AWKWARD.filter((N) => (M + N) % 3 === 0).map((N) => [M, N, 1 + M]));
shapes.push([300, 70, 65], [70, 1100, 33]);
let products = 0;
for (const kernel of ['gemm', 'gemmSymmetric', 'linearParametersBackward'])
  for (const [M, N, K] of shapes)
    for (const accumulate of [false, true]) {
      const made = kernelCases[kernel](M, N, K, accumulate);
      const wrong = await compareKernel([devices[0], reference], kernel, made, accumulate);
      if (wrong !== undefined) throw new Error(`${kernel} ${M}×${N}×${K}: ${wrong}`);
      const [first, ...others] = await Promise.all(
        devices.map((device) => tryKernel(device, kernel, made, accumulate)),
      );
      for (const name of resultsOf(kernel))
        for (const other of others)
          if (!other[name].every((x, i) => Object.is(x, first[name][i])))
            throw new Error(`${kernel} ${M}×${N}×${K}: ${name} depends on the number of threads`);
      products++;
    }
process.stdout.write(JSON.stringify({ name: devices[0].name, products }));
process.exit();
