/** Maps the tensors of a weights file to the parameters of a model, with the conversion that each needs. */
import { UserError } from '../errors.ts';
import { shownJson } from '../json.ts';
import type { ModelConfig } from '../model/config.ts';
import { HEAD, parameterTable } from '../model/parameters.ts';
import type { NamedTensor } from '../model/placement.ts';
import { fromTensorName, isBuffer, type DescribedModel } from './huggingface.ts';
import type { LoadOptions } from './safetensors.ts';
import type { Weights } from './weights.ts';

/** Prefix that torch.compile adds to every name. */
const COMPILED = '_orig_mod.';

/**
 * Names in the file by our names, after checking that every parameter is there with its shape, and nothing else.
 *
 * Biases of one kind may be absent, if they are in every layer: a model without them computes what one with zeros does.
 *
 * @throws UserError naming the tensor
 */
export function matchTensors({ tensors, path }: Weights, config: ModelConfig): Map<string, string> {
  const names = new Map<string, string>();
  for (const stored of tensors.keys()) {
    if (stored.startsWith(COMPILED)) throw compiled(path);
    const name = fromTensorName(stored);
    if (isBuffer(stored)) continue;
    if (names.has(name)) throw new UserError(`${path} has the tensor ${shownJson(name)} twice`);
    names.set(name, stored);
  }
  // Checked before the table is allocated: an untrusted config.json may claim any number of layers.
  if (config.nLayer > tensors.size)
    throw new UserError(
      `${path} has ${tensors.size} tensors, config.json asks for ${config.nLayer} layers of 12`,
    );
  const kinds = new Set([...names.keys()].map(kindOf));
  const expected = new Map(parameterTable(config).map(({ name, shape }) => [name, shape]));
  for (const [name, shape] of expected) {
    const stored = tensors.get(names.get(name) ?? '')?.shape;
    if (stored === undefined && name.endsWith('.bias') && !kinds.has(kindOf(name))) continue;
    if (stored === undefined)
      throw new UserError(`${path} lacks the tensor "${name}" that config.json asks for`);
    if (stored.join() !== shape.join())
      throw new UserError(
        `${path}: "${name}" has the shape ${shownJson(stored)}, config.json asks for ${shownJson(shape)}`,
        stored.join() === shape.toReversed().join()
          ? { hint: 'GPT-2 stores weights as [in, out]; those of torch.nn.Linear must be transposed' }
          : {},
      );
  }
  for (const name of names.keys())
    if (!expected.has(name) && name !== HEAD)
      throw new UserError(`${path} has the tensor ${shownJson(name)}, which this model does not`);
  return names;
}

/** A name without its layer: `h.*.ln_1.bias`. */
const kindOf = (name: string): string => name.replace(/^h\.\d+\./, 'h.*.');

const compiled = (path: string): UserError =>
  new UserError(`${path}: the tensors' names start with "${COMPILED}", which torch.compile adds`, {
    hint: `save the model inside, model.${COMPILED.slice(0, -1)}, with its save_pretrained`,
  });

/** Reads all parameters. @param into of the model's table, each of its own length */
export function loadParameters(
  weights: Weights,
  { config, queryScale }: DescribedModel,
  into: readonly NamedTensor[],
  options?: LoadOptions,
): void {
  const names = matchTensors(weights, config);
  const stored = into.filter(({ name }) => names.has(name));
  weights.load(new Map(stored.map(({ name, data }) => [names.get(name)!, data])), options);
  for (const { name, data } of into) if (!names.has(name)) data.fill(0);
  if (config.tieWordEmbeddings) checkTiedHead(weights, names);
  for (const { name, data } of into) {
    const layer = /^h\.(\d+)\.attn\.c_attn\./.exec(name)?.[1];
    if (layer !== undefined) scaleQueries(data, config.nEmbd, queryScale(Number(layer)));
  }
}

/** Multiplies q of [q | k | v], the columns of c_attn's weight [C,3C] or its bias [3C]. */
function scaleQueries(data: Float32Array, C: number, factor: number): void {
  if (factor === 1) return;
  for (let row = 0; row < data.length; row += 3 * C) for (let c = 0; c < C; c++) data[row + c] *= factor;
}

/** A tied output head is the token embedding; if the file has a copy of it, the two must agree. */
function checkTiedHead(weights: Weights, names: ReadonlyMap<string, string>): void {
  const name = names.get(HEAD);
  if (name === undefined) return;
  const bits = (tensor: string): Uint32Array => new Uint32Array(weights.read(tensor).buffer);
  const [head, wte] = [bits(name), bits(names.get('wte.weight')!)];
  if (head.length !== wte.length || head.some((x, i) => x !== wte[i]))
    throw new UserError(
      `${weights.path}: "${HEAD}" differs from the token embedding, to which config.json ties it`,
      { hint: 'if the model was trained with a head of its own, set "tie_word_embeddings" to false there' },
    );
}
