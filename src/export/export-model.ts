/** Writes a model for other programs. */
import { existsSync, readdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { forOllama, modelCard, withMergedAdapter, withPrecision } from '../card/model-card.ts';
import { ADAPTER_CONFIG } from '../checkpoint/adapter-config.ts';
import { CARD, isOwnCard, readCard, writeCard } from '../checkpoint/card-file.ts';
import { WEIGHTS, type ModelFolder } from '../checkpoint/model-folder.ts';
import type { ParameterReader } from '../checkpoint/parameter-tensors.ts';
import type { Report } from '../reporting.ts';
import { writeFileAtomic, writeFileFlushed } from '../write-file.ts';
import { ggufDataSize, ggufPieces } from './gguf.ts';
import { ggufModel } from './llama-cpp.ts';
import { writeHuggingFaceFolder, type FolderDtype } from './hugging-face.ts';
import { checkOllama, MODEL, MODELFILE, modelfile } from './ollama.ts';
import { refuseMissingParent, refuseOccupiedFile, sweepTemporaries, writeFolder } from './output-folder.ts';
import type { GgufDtype } from './quantization.ts';

export interface Exported {
  /** Paths of the files written. */
  readonly files: readonly string[];
  /** Size of the weights file in bytes. */
  readonly bytes: number;
  /** Differences in the other program's behavior, one per line. */
  readonly warnings: readonly string[];
}

export interface Target<Dtype> {
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
  refuseOccupiedFile(output, { force, source: model.folder });
  refuseMissingParent(output);
  sweepTemporaries(output);
  return { files: [output], ...writeGguf(model, { dtype, output, report }) };
}

/** Exports the GGUF file in a folder with a Modelfile. */
export function exportOllama(
  model: ModelFolder,
  { dtype, output, force, report }: Target<GgufDtype>,
): Exported {
  const differences = checkOllama(model);
  let written: Omit<Exported, 'files'> | undefined;
  const files = writeFolder({ output, force, source: model.folder }, (folder) => {
    written = writeGguf(model, { dtype, output: join(folder, MODEL), report });
    writeFileFlushed(join(folder, MODELFILE), [modelfile(model)]);
    writeCard(folder, forOllama(cardOf(model, dtype)), writeFileFlushed);
    return [MODELFILE, ...movedCard(output), MODEL];
  });
  const { bytes, warnings } = written!;
  return { files, bytes, warnings: [...warnings, ...differences] };
}

/** Exports a Hugging Face folder with weights of the given dtype. */
export function exportHuggingFace(
  model: ModelFolder,
  { dtype, output, force, report }: Target<FolderDtype>,
): Exported {
  let bytes = 0;
  const files = writeFolder({ output, force, source: model.folder }, (folder) => {
    bytes = writeHuggingFaceFolder(folder, model, dtype, report);
    writeCard(folder, cardOf(model, dtype), writeFileFlushed);
    const others = readdirSync(folder).filter((name) => name !== WEIGHTS && name !== CARD);
    return [...others, ...movedCard(output), WEIGHTS];
  });
  return { files, bytes, warnings: [] };
}

/** The card of the model's folder, including the user's edits; a new one if this program did not write it. */
function cardOf(model: ModelFolder, dtype: string): string {
  const { folder, config, tokenizer } = model;
  const stored =
    readCard(folder) ?? modelCard({ name: nameOf(model), config, tokenizer, training: undefined });
  const card = existsSync(join(folder, ADAPTER_CONFIG)) ? withMergedAdapter(stored) : stored;
  return dtype === 'f32' ? card : withPrecision(card, dtype);
}

/** The name of the card, unless the output has a README.md that is not ours. */
const movedCard = (output: string): string[] =>
  !existsSync(join(output, CARD)) || isOwnCard(join(output, CARD)) ? [CARD] : [];

function writeGguf(
  model: ModelFolder,
  { dtype, output, report }: Omit<Target<GgufDtype>, 'force'>,
): Omit<Exported, 'files'> {
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
    return { bytes, warnings };
  } finally {
    reader.close();
  }
}

/** Name of a model: that of its folder. */
export const nameOf = ({ folder }: Pick<ModelFolder, 'folder'>): string => basename(resolve(folder));
