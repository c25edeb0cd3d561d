/** What a report's scripts work on: embedded in the page as JSON, made by src/report/ and read by the scripts here. */

export interface PageData {
  readonly charts: readonly ChartData[];
  readonly embeddings: EmbeddingData | null;
  readonly attention: AttentionData | null;
}

/** Curves over training steps. */
export interface ChartData {
  /** Of the element it is drawn in. */
  readonly id: string;
  readonly unit: string;
  /** Decimal places of its values. */
  readonly digits: number;
  readonly height: number;
  readonly series: readonly ChartSeries[];
}

export interface ChartSeries {
  readonly name: string;
  /** Which of the page's colours; 0 is the faint one. */
  readonly color: number;
  readonly steps: readonly number[];
  /** null where a value was not finite. */
  readonly values: readonly (number | null)[];
}

/** Token embeddings on a plane. */
export interface EmbeddingData {
  /** How tokens are shown: white space as signs. */
  readonly labels: readonly string[];
  /** Which of `kinds` each token is. */
  readonly kind: readonly number[];
  readonly kinds: readonly string[];
  readonly x: readonly number[];
  readonly y: readonly number[];
  /** The nearest tokens of each by cosine, as places in these lists. */
  readonly nearest: readonly (readonly number[])[];
}

/** What each head attends to while the model reads a text. */
export interface AttentionData {
  readonly labels: readonly string[];
  readonly nLayer: number;
  readonly nHead: number;
  /** Of each head, layer by layer: rows of the triangle one behind the other, in percent. */
  readonly maps: readonly (readonly number[])[];
}
