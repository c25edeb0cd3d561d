/** Writes a model for other programs. */
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { checkpointsOf } from '../checkpoint/checkpoint-folders.ts';
import type { ModelFolder } from '../checkpoint/model-folder.ts';
import type { ParameterReader } from '../checkpoint/parameter-tensors.ts';
import { UserError } from '../errors.ts';
import { optionName } from '../messages.ts';
import type { Report } from '../reporting.ts';
import { shellQuoted } from '../shell-quote.ts';
import { makeFolder, writeFileAtomic } from '../write-file.ts';
import { ggufDataSize, ggufPieces } from './gguf.ts';
import { ggufModel } from './llama-cpp.ts';
import { checkOllama, MODEL, MODELFILE, modelfile } from './ollama.ts';
import type { GgufDtype } from './quantization.ts';

export interface Exported {
  /** Paths of the files written. */
  readonly files: readonly string[];
  /** Size of the weights file in bytes. */
  readonly bytes: number;
  /** What the other program does differently, a line each. */
  readonly warnings: readonly string[];
}

interface Target<Dtype> {
  readonly dtype: Dtype;
  /** File or folder to write. */
  readonly output: string;
  /** Replace what is there. */
  readonly force: boolean;
  readonly report: Report;
}

/** @throws UserError naming what llama.cpp cannot represent, before anything is written */
export function exportGguf(
  model: ModelFolder,
  { dtype, output, force, report }: Target<GgufDtype>,
): Exported {
  if (!force && existsSync(output)) throw exists(output);
  refuseMissingParent(output);
  return writeGguf(model, { dtype, output, report });
}

/** The same as a folder with a Modelfile. */
export function exportOllama(
  model: ModelFolder,
  { dtype, output, force, report }: Target<GgufDtype>,
): Exported {
  const differences = checkOllama(model);
  prepareFolder(model, output, force);
  const { files, bytes, warnings } = writeGguf(model, { dtype, output: join(output, MODEL), report });
  const file = join(output, MODELFILE);
  writeFileAtomic(file, [modelfile(model)]);
  return { files: [...files, file], bytes, warnings: [...warnings, ...differences] };
}

function writeGguf(
  model: ModelFolder,
  { dtype, output, report }: Omit<Target<GgufDtype>, 'force'>,
): Exported {
  let reader: ParameterReader;
  const weights = { read: (name: string) => reader.read(name) };
  const { metadata, tensors, warnings } = ggufModel(model, { name: nameOf(model), dtype, weights });
  reader = model.open({ loaded: (done) => report('verifying the model', done) });
  try {
    const size = ggufDataSize(tensors);
    let bytes = 0;
    writeFileAtomic(output, ggufPieces(metadata, tensors), (written) => {
      bytes = written;
      report('writing the model', Math.min(1, written / size));
    });
    return { files: [output], bytes, warnings };
  } finally {
    reader.close();
  }
}

/** Name of a model: that of its folder. */
export const nameOf = ({ folder }: Pick<ModelFolder, 'folder'>): string => basename(resolve(folder));

/** Creates the output folder. @throws UserError if it must not be written to */
function prepareFolder(model: ModelFolder, output: string, force: boolean): void {
  const isThere = existsSync(output);
  if (isThere && !force && readdirSync(output).length > 0) throw exists(output);
  if (isThere && (realpathSync(output) === realpathSync(model.folder) || checkpointsOf(output).length > 0))
    throw new UserError('output-exists', `${output} is a run, whose files are not replaced`, {
      hint: `name another ${optionName('output')}`,
    });
  refuseMissingParent(output);
  makeFolder(output);
}

const exists = (output: string): UserError =>
  new UserError('output-exists', `${output} exists already`, {
    hint: `name another ${optionName('output')}, or replace it with ${optionName('force')}`,
  });

/** A missing folder may be a typing error. */
function refuseMissingParent(output: string): void {
  const folder = dirname(output);
  if (existsSync(folder)) return;
  throw new UserError('write-failed', `${output} cannot be written: the folder ${folder} does not exist`, {
    hint: `create it first: mkdir -p ${shellQuoted(folder)}`,
  });
}
