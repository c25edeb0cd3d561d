/** Describes the computer that a benchmark runs on. */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';

/** Linux's table of AMD's generations (arch/x86/kernel/cpu/amd.c): family, first and last model. */
const ZEN = [
  [0x17, 0x00, 0x2f, '1'],
  [0x17, 0x50, 0x5f, '1'],
  [0x17, 0x30, 0x4f, '2'],
  [0x17, 0x60, 0x7f, '2'],
  [0x17, 0x90, 0x91, '2'],
  [0x17, 0xa0, 0xaf, '2'],
  [0x19, 0x00, 0x0f, '3'],
  [0x19, 0x20, 0x5f, '3'],
  [0x19, 0x10, 0x1f, '4'],
  [0x19, 0x60, 0xaf, '4'],
  [0x1a, 0x00, 0x2f, '5'],
  [0x1a, 0x40, 0x4f, '5'],
  [0x1a, 0x60, 0x7f, '5'],
];

/**
 * Virtual machines often report only 'AMD EPYC' or 'Intel(R) Xeon(R) Processor'; family and model identify the generation.
 *
 * @param cpuinfo the text of /proc/cpuinfo; empty on other systems
 */
export function processorNamed(name, cpuinfo) {
  const field = (label) => new RegExp(`^${label}\\s*: (.*)$`, 'm').exec(cpuinfo)?.[1];
  const [family, model] = [Number(field('cpu family')), Number(field('model'))];
  if (!Number.isInteger(family) || !Number.isInteger(model)) return name;
  const generation =
    field('vendor_id') === 'AuthenticAMD' &&
    ZEN.find(([of, first, last]) => family === of && first <= model && model <= last)?.[3];
  return `${name} (${generation ? `Zen ${generation}` : `family ${family}, model ${model}`})`;
}

export const machine = () => ({
  processor: processorNamed(
    cpus()[0]
      .model.trim()
      .replace(/^unknown$/, `${process.arch} processor`), // as on ARM under Linux
    process.platform === 'linux' ? readFileSync('/proc/cpuinfo', 'utf8') : '',
  ),
  cores: availableParallelism(),
  memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
  node: process.versions.node,
  system: `${process.platform} ${process.arch}`,
});

/** Name of a computer's files in results/: amd-epyc-zen-4-2-cores. */
export const fileNameOf = ({ processor, cores }) =>
  `${processor} ${cores} cores`
    .toLowerCase()
    .replaceAll(/\((r|tm)\)/g, '')
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '')
    .join('-');
