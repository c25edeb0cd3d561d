/** `gpt export`: a model in the formats of other programs. */
import type { Command } from 'commander';
import type { ModelFolder } from '../checkpoint/model-folder.ts';
import { openModelFolder } from '../checkpoint/open-model.ts';
import { UsageError } from '../errors.ts';
import {
  exportGguf,
  exportHuggingFace,
  exportOllama,
  nameOf,
  type Exported,
  type Target,
} from '../export/export-model.ts';
import { mergedModel } from '../export/merged-model.ts';
import { folderDtypes, type FolderDtype } from '../export/hugging-face.ts';
import { ggufDtypes, type GgufDtype } from '../export/quantization.ts';
import { formatBytes } from '../format.ts';
import { choice, filePath } from '../values.ts';
import { whileReporting } from './activity.ts';
import { addExamples } from './help.ts';
import { shellQuoted } from '../shell-quote.ts';
import { printJson } from './json-output.ts';
import {
  argumentOrModel,
  baseOption,
  chosenModel,
  modelFolder,
  modelOption,
  type ModelFlags,
} from './model-options.ts';
import { argument, option } from './options.ts';
import { notice, printable, stderrColors, warn } from './terminal.ts';

const formats = ['gguf', 'ollama', 'safetensors'] as const;
type Format = (typeof formats)[number];

interface Flags extends ModelFlags {
  readonly format?: Format;
  readonly merge?: true;
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
        'gguf: for llama.cpp and LM Studio; ollama: with a Modelfile; safetensors: for transformers',
        choice(formats),
      ).default(undefined, 'gguf; safetensors with --merge'),
    )
    .option('--merge', 'merge an adapter into its base model; every --format does the same')
    .addOption(baseOption())
    .addOption(
      option(
        '--dtype <type>',
        'of the weights: f32, f16, bf16 or, except for safetensors, q8_0, q4_0; default: f16, for safetensors bf16',
        choice(ggufDtypes),
      ),
    )
    .addOption(
      option(
        '-o, --output <path>',
        'file to write, for ollama and safetensors a folder; default: in this folder',
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
    ['An adapter and its base as one model', 'gpt export checkpoints/poems-1 --merge -o poems'],
    ['For transformers, in half the size', 'gpt export checkpoints/moby-dick-1 --format safetensors'],
  ]);
}

interface FormatEntry<Dtype> {
  readonly dtypes: readonly Dtype[];
  /** Used without --dtype. */
  readonly dtype: Dtype;
  readonly outputName: (name: string, dtype: Dtype) => string;
  readonly write: (model: ModelFolder, target: Target<Dtype>) => Exported;
  /** What to do with the result, for the final notice. */
  readonly use: (output: string) => string;
}

const gguf: FormatEntry<GgufDtype> = {
  dtypes: ggufDtypes,
  dtype: 'f16',
  outputName: (name, dtype) => `${name}-${dtype}.gguf`,
  write: exportGguf,
  use: (output) => `llama-completion -m ${shellQuoted(output)} -p "…"`,
};

const ollama: FormatEntry<GgufDtype> = {
  ...gguf,
  outputName: (name) => `${name}-ollama`,
  write: exportOllama,
  use: (output) => `ollama create my-model -f ${shellQuoted(`${output}/Modelfile`)} && ollama run my-model`,
};

const safetensors: FormatEntry<FolderDtype> = {
  dtypes: folderDtypes,
  dtype: 'bf16',
  outputName: (name, dtype) => `${name}-${dtype}`,
  write: exportHuggingFace,
  use: (output) => `AutoModelForCausalLM.from_pretrained(${JSON.stringify(output)})`,
};

async function exportModel(named: string | undefined, flags: Flags, command: Command): Promise<void> {
  const { base, merge, format = merge === true ? 'safetensors' : 'gguf' } = flags;
  const model = openModelFolder(chosenModel(argumentOrModel(named, flags, command)), { base });
  if (merge === true && model.config.lora === undefined)
    throw new UsageError('conflicting-options', `--merge has no effect: ${model.folder} is not an adapter`, {
      hint: 'omit it, and choose a --format',
    });
  const whole = mergedModel(model);
  if (format === 'safetensors') await exportAs(safetensors, whole, { ...flags, format });
  else await exportAs(format === 'gguf' ? gguf : ollama, whole, { ...flags, format });
}

async function exportAs<Dtype extends string>(
  { dtypes, outputName, write, use, ...defaults }: FormatEntry<Dtype>,
  model: ModelFolder,
  { format, force, json, ...flags }: Flags & { readonly format: Format },
): Promise<void> {
  const { dtype = defaults.dtype } = flags;
  if (!includes(dtypes, dtype))
    throw new UsageError('conflicting-options', `--format ${format} has no --dtype ${dtype}`, {
      hint: `use ${dtypes.join(', ')}`,
    });
  const { output = outputName(nameOf(model), dtype) } = flags;
  const exported = whileReporting((report) => write(model, { dtype, output, force: force === true, report }));
  for (const warning of exported.warnings) warn(printable(warning));
  if (json) return printJson({ format, dtype, ...exported });
  notice(
    `Wrote ${stderrColors.bold(printable(output))}, ${formatBytes(exported.bytes)}.\n  ${use(printable(output))}`,
  );
}

const includes = <T extends string>(all: readonly T[], one: string): one is T =>
  (all as readonly string[]).includes(one);
