/** Computes a report's views of a model: an embedding map, attention maps, predictions. */
import type { ModelFolder } from '../checkpoint/model-folder.ts';
import type { Device } from '../engine/device.ts';
import { readActivations } from '../inspect/activations.ts';
import { attentionMap } from '../inspect/attention.ts';
import { nearest } from '../inspect/embeddings.ts';
import { logitLens, type Expectation } from '../inspect/logit-lens.ts';
import { noReport, type Report } from '../reporting.ts';
import { projectOntoPlane } from '../inspect/principal-components.ts';
import { visible } from '../inspect/token-text.ts';
import { readWeights, tokenEmbedding, weightStatistics, type WeightStatistics } from '../inspect/weights.ts';
import type { AttentionData, EmbeddingData } from './browser/page-data.ts';

export interface ModelViews {
  readonly weights: readonly WeightStatistics[];
  readonly embeddings: EmbeddingData;
  /** Share of the embeddings' variance that the map shows. */
  readonly explained: number;
  readonly attention: AttentionData;
  /** Predictions at each depth, for each token of the text. */
  readonly expectations: readonly (readonly Expectation[])[];
  readonly ids: readonly number[];
}

/** More tokens would overlap. Word and BPE vocabularies start with frequent tokens. */
const MAP_TOKENS = 400;
const NEIGHBORS = 5;
/** Longer texts would make the cells of the maps too small. */
export const VIEWED_TOKENS = 32;

/** @param ids the text, at most T tokens */
export async function viewModel(
  folder: ModelFolder,
  device: Device,
  ids: ArrayLike<number>,
  report: Report = noReport,
): Promise<ModelViews> {
  const { config } = folder;
  const tensors = readWeights(folder, (done) => report('reading the weights', done));
  report('running the model');
  const activations = await readActivations(
    device,
    config,
    (into) => folder.load(into), // again, since tensors on the host are float32
    ids,
    folder.storageOf,
  );
  report('computing the attention maps');
  const labels = Array.from(ids, (id) => visible(folder.tokenizer.vocabulary[id]));
  const maps: number[][] = [];
  for (let layer = 0; layer < config.nLayer; layer++)
    for (let head = 0; head < config.nHead; head++)
      maps.push(triangle(attentionMap(activations, layer, head), ids.length));
  const weights = tensors.map((tensor, i) => {
    report('measuring the weights', i / tensors.length);
    return weightStatistics(tensor);
  });
  report('mapping the embeddings');
  const map = mapEmbeddings(folder, tokenEmbedding(config, tensors));
  return {
    weights,
    ...map,
    attention: { labels, nLayer: config.nLayer, nHead: config.nHead, maps },
    expectations: await logitLens(activations, ids, 1),
    ids: Array.from(ids),
  };
}

/** The diagonal and everything below it, in whole percent. */
function triangle(map: Float64Array, T: number): number[] {
  const percent: number[] = [];
  for (let i = 0; i < T; i++) for (let j = 0; j <= i; j++) percent.push(Math.round(100 * map[i * T + j]));
  return percent;
}

function mapEmbeddings(
  { config, tokenizer }: ModelFolder,
  wte: Float32Array,
): Pick<ModelViews, 'embeddings' | 'explained'> {
  const C = config.nEmbd;
  const ids = Array.from({ length: Math.min(MAP_TOKENS, config.vocabSize) }, (_, id) => id);
  const rows = wte.subarray(0, ids.length * C);
  const { points, explained } = projectOntoPlane(rows, C);
  const texts = ids.map((id) => tokenizer.vocabulary[id]);
  return {
    embeddings: {
      labels: texts.map(visible),
      kinds: [...tokenKinds],
      kind: texts.map(kindOf),
      x: points.map(([x]) => rounded(x)),
      y: points.map(([, y]) => rounded(y)),
      nearest: ids.map((id) => nearest({ rows, C }, id, NEIGHBORS).map((neighbor) => neighbor.id)),
    },
    explained: explained[0] + explained[1],
  };
}

const rounded = (value: number): number => Number(value.toPrecision(4));

const tokenKinds = ['lower case', 'upper case', 'digits', 'other'] as const;

/** By the first character other than a space. */
function kindOf(text: string): number {
  const [first = ''] = text.trimStart();
  if (/\p{Lu}/u.test(first)) return 1;
  if (/\p{L}/u.test(first)) return 0;
  return /\p{N}/u.test(first) ? 2 : 3;
}
