import { resolve } from 'node:path';
import { expect, test } from 'vitest';

const { fileNameOf, processorNamed } = (await import(resolve('bench/machine.js'))) as {
  fileNameOf: (machine: { readonly processor: string; readonly cores: number }) => string;
  processorNamed: (name: string, cpuinfo: string) => string;
};

const cpuinfo = (vendor: string, family: number, model: number): string =>
  `processor\t: 0\nvendor_id\t: ${vendor}\ncpu family\t: ${family}\nmodel\t\t: ${model}\nmodel name\t: anything\nstepping\t: 1\n`;

test.each([
  ['AMD EPYC', 'AuthenticAMD', 23, 49, 'AMD EPYC (Zen 2)', 'amd-epyc-zen-2-2-cores'],
  ['AMD EPYC', 'AuthenticAMD', 25, 1, 'AMD EPYC (Zen 3)', 'amd-epyc-zen-3-2-cores'],
  ['AMD EPYC', 'AuthenticAMD', 25, 17, 'AMD EPYC (Zen 4)', 'amd-epyc-zen-4-2-cores'],
  ['AMD EPYC', 'AuthenticAMD', 26, 2, 'AMD EPYC (Zen 5)', 'amd-epyc-zen-5-2-cores'],
  ['AMD EPYC', 'AuthenticAMD', 27, 0, 'AMD EPYC (family 27, model 0)', 'amd-epyc-family-27-model-0-2-cores'],
  [
    'Intel(R) Xeon(R) Processor',
    'GenuineIntel',
    6,
    143,
    'Intel(R) Xeon(R) Processor (family 6, model 143)',
    'intel-xeon-processor-family-6-model-143-2-cores',
  ],
])(
  '%s of %s, family %i, model %i, is %s; its results are in %s',
  (name, vendor, family, model, full, file) => {
    const processor = processorNamed(name, cpuinfo(vendor, family, model));
    expect(processor).toBe(full);
    expect(fileNameOf({ processor, cores: 2 })).toBe(file);
  },
);

test('a system without /proc/cpuinfo names its processor completely', () => {
  expect(processorNamed('Apple M4', '')).toBe('Apple M4');
  expect(fileNameOf({ processor: 'Apple M4', cores: 10 })).toBe('apple-m4-10-cores');
});
