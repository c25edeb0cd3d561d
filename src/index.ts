/** The library's public face: what the command line itself is built on. */
export { openModelFolder, type ModelFolder } from './checkpoint/model-folder.ts';
export { openCorpus, type Corpus } from './data/corpus.ts';
export type { Backend } from './engine/instruction.ts';
export { chooseBackend } from './engine/backend.ts';
export type { WasmOptions } from './engine/wasm.ts';
export { UsageError, UserError } from './errors.ts';
export { Decoder } from './generate/decoder.ts';
export { generate, type GenerateOptions } from './generate/generate.ts';
export { encodePrompt } from './generate/prompt.ts';
export { presets, type ModelConfig, type PresetName } from './model/config.ts';
export { tokenizers, tokenizerFromJson } from './tokenizer/registry.ts';
export { bannedIds, encode, endOfTextIds, type Tokenizer } from './tokenizer/tokenizer.ts';
export { evaluateText, type TextEvaluation } from './train/evaluate-text.ts';
export { trainModel, type TrainHandlers, type TrainPlan, type TrainResult } from './train/train-model.ts';
export type { TrainModelOptions } from './train/settings.ts';
