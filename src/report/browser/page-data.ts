/** Data of a report's scripts, embedded in the page as JSON. src/report/ writes it, the scripts here read it. */

export interface PageData {
  readonly charts: readonly ChartData[];
  readonly embeddings: EmbeddingData | null;
  readonly attention: AttentionData | null;
}

/** Curves over training steps. */
export interface ChartData {
  /** Id of the element it is drawn in. */
  readonly id: string;
  readonly unit: string;
  /** Decimals of its values. */
  readonly digits: number;
  readonly height: number;
  readonly series: readonly ChartSeries[];
}

export interface ChartSeries {
  readonly name: string;
  /** Index of a page color; 0 is the faint one. */
  readonly color: number;
  readonly steps: readonly number[];
  /** null for values that were not finite. */
  readonly values: readonly (number | null)[];
}

/** Token embeddings projected onto a plane. */
export interface EmbeddingData {
  /** Labels of the tokens, with visible white space. */
  readonly labels: readonly string[];
  /** Index of each token in `kinds`. */
  readonly kind: readonly number[];
  readonly kinds: readonly string[];
  readonly x: readonly number[];
  readonly y: readonly number[];
  /** Nearest tokens of each token by cosine similarity, as indices into these lists. */
  readonly nearest: readonly (readonly number[])[];
}

/** Attention of each head while the model reads a text. */
export interface AttentionData {
  readonly labels: readonly string[];
  readonly nLayer: number;
  readonly nHead: number;
  /** Lower triangles by rows, in percent, for each head, layer by layer. */
  readonly maps: readonly (readonly number[])[];
}
