/** `gpt export`: a model in the formats of other programs. */
import type { Command } from 'commander';
import { openModelFolder } from '../checkpoint/model-folder.ts';
import { exportGguf, exportOllama, nameOf } from '../export/export-model.ts';
import { ggufDtypes, type GgufDtype } from '../export/quantization.ts';
import { formatBytes } from '../format.ts';
import { choice, filePath } from '../values.ts';
import { whileReporting } from './activity.ts';
import { addExamples } from './help.ts';
import { printJson } from './json-output.ts';
import { argumentOrModel, chosenModel, modelFolder, modelOption, type ModelFlags } from './model-options.ts';
import { argument, option } from './options.ts';
import { notice, printable, stderrColors, warn } from './terminal.ts';

const formats = ['gguf', 'ollama'] as const;
type Format = (typeof formats)[number];

interface Flags extends ModelFlags {
  readonly format: Format;
  readonly dtype?: GgufDtype;
  readonly output?: string;
  readonly force?: true;
  readonly json?: true;
}

export function register(command: Command): void {
  command
    .addArgument(
      argument('[run]', 'run or model folder; default: the newest under checkpoints/', modelFolder),
    )
    .addOption(modelOption('the same as the argument'))
    .addOption(
      option(
        '--format <format>',
        'gguf: for llama.cpp and LM Studio; ollama: with a Modelfile',
        choice(formats),
        'gguf',
      ),
    )
    .addOption(
      option(
        '--dtype <type>',
        'of the weights: f32, f16, bf16, q8_0 or q4_0; default: f16',
        choice(ggufDtypes),
      ),
    )
    .addOption(
      option(
        '-o, --output <path>',
        'file or, for ollama, folder to write; default: in this folder',
        filePath,
      ),
    )
    .option('--force', 'replace existing output')
    .option('--json', 'print the files and their size as JSON')
    .action(exportModel);
  addExamples(command, [
    ['The newest run for llama.cpp and LM Studio', 'gpt export'],
    ['A quarter of the size', 'gpt export checkpoints/moby-dick-1 --dtype q8_0 -o whale.gguf'],
    ['For Ollama', 'gpt export checkpoints/moby-dick-1 --format ollama -o whale'],
  ]);
}

interface FormatEntry {
  readonly dtype: GgufDtype;
  readonly outputName: (name: string, dtype: GgufDtype) => string;
  readonly write: typeof exportGguf;
  /** What to do with the result, for the final notice. */
  readonly use: (output: string) => string;
}

const entries: { readonly [F in Format]: FormatEntry } = {
  gguf: {
    dtype: 'f16',
    outputName: (name, dtype) => `${name}-${dtype}.gguf`,
    write: exportGguf,
    use: (output) => `llama-completion -m ${output} -p "…"`,
  },
  ollama: {
    dtype: 'f16',
    outputName: (name) => `${name}-ollama`,
    write: exportOllama,
    use: (output) => `ollama create my-model -f ${output}/Modelfile && ollama run my-model`,
  },
};

async function exportModel(named: string | undefined, flags: Flags, command: Command): Promise<void> {
  const model = openModelFolder(chosenModel(argumentOrModel(named, flags, command)));
  const { force = false, json } = flags;
  const { outputName, write, use, ...defaults } = entries[flags.format];
  const { dtype = defaults.dtype } = flags;
  const { output = outputName(nameOf(model), dtype) } = flags;
  const exported = whileReporting((report) => write(model, { dtype, output, force, report }));
  for (const warning of exported.warnings) warn(printable(warning));
  if (json) return printJson({ format: flags.format, dtype, ...exported });
  notice(
    `Wrote ${stderrColors.bold(printable(output))}, ${formatBytes(exported.bytes)}.\n  ${use(printable(output))}`,
  );
}
