/** Sections of a report about the model: embeddings, attention, predictions, parameters. */
import { formatNumber, formatPercent } from '../format.ts';
import type { Expectation } from '../inspect/logit-lens.ts';
import { visible } from '../inspect/token-text.ts';
import type { WeightStatistics } from '../inspect/weights.ts';
import type { ModelConfig } from '../model/config.ts';
import { countParameters, parametersByPart } from '../model/parameters.ts';
import type { EmbeddingData } from './browser/page-data.ts';
import { html, type Html } from './html.ts';
import { figures } from './numbers.ts';

/** A script draws the map; everything it shows on hover can also be selected from a list and read as text. */
export function embeddingMap(
  { labels, kinds, nearest }: EmbeddingData,
  explained: number,
  all: number,
): Html {
  return html`<p>
      Tokens that the model treats alike lie close together. Of all that sets the embeddings apart, these two
      directions (principal components) show
      ${formatPercent(explained, 0)}.${
        labels.length < all
          ? ` The map has the first ${formatNumber(labels.length)} of ${formatNumber(all)} tokens.`
          : ''
      }
    </p>
    <div class="controls">
      <label
        >Token
        <select id="map-token">
          <option value="">choose one</option>
          ${labels.map((label, i) => html`<option value="${i}">${label}</option>`)}
        </select></label
      >
      <output id="map-reading" for="map-token"
        >Choose a token, or point at one, to see its nearest neighbors.</output
      >
    </div>
    <div
      id="embedding-map"
      class="plot map"
      role="img"
      aria-label="Map of ${labels.length} token embeddings. The list of tokens above and the table below say the same in words."
    ></div>
    <ul class="legend" aria-label="Colors of the map">
      ${kinds.map((kind, i) => html`<li><span class="swatch kind-${i}"></span>${kind}</li>`)}
    </ul>
    <details>
      <summary>Nearest tokens as a table</summary>
      <div class="scroll" tabindex="0" role="group" aria-label="Nearest tokens">
        <table>
          <thead>
            <tr>
              <th scope="col">token</th>
              <th scope="col">nearest by cosine</th>
            </tr>
          </thead>
          <tbody>
            ${labels.map(
              (label, i) =>
                html`<tr>
                  <th scope="row"><code>${label}</code></th>
                  <td>${nearest[i].map((j) => html`<code>${labels[j]}</code> `)}</td>
                </tr>`,
            )}
          </tbody>
        </table>
      </div>
    </details>`;
}

/** The frame in which the script draws the map of the selected head. */
export function attentionMaps(nLayer: number, nHead: number, hasPage: boolean): Html {
  const choices = (n: number, name: string) => [
    html`<option value="-1">mean of all</option>`,
    ...Array.from({ length: n }, (_, i) => html`<option value="${i}">${name} ${i}</option>`),
  ];
  return html`<p>
      What each head attends to while the model reads ${hasPage ? 'its last sample' : 'this text'}: each row
      is a token, and its shades show how much it takes from each earlier token. Choose a token to see its row
      in the text.
    </p>
    <div id="attention">
      <div class="controls">
        <button type="button" id="attention-back" aria-label="The head before">‹</button>
        <label
          >Layer
          <select id="attention-layer">
            ${choices(nLayer, 'layer')}
          </select></label
        >
        <label
          >Head
          <select id="attention-head">
            ${choices(nHead, 'head')}
          </select></label
        >
        <button type="button" id="attention-on" aria-label="The next head">›</button>
      </div>
      <p
        id="attention-tokens"
        class="tokens"
        role="group"
        aria-label="The text; choose a token to see what it attends to"
      ></p>
      <p class="reading" id="attention-reading" aria-live="polite"></p>
      <div class="scroll" tabindex="0" role="group" aria-label="Attention map">
        <table id="attention-map" class="heat"></table>
      </div>
    </div>
    <noscript
      ><p>
        The maps are drawn by a script, which this browser does not run.
        <code>gpt inspect --attention</code> shows them in a terminal.
      </p></noscript
    >`;
}

/** Predictions after each token, layer by layer. */
export function guesses(
  ids: readonly number[],
  expectations: readonly (readonly Expectation[])[],
  vocabulary: readonly string[],
): Html {
  const depths = expectations[0].map((_, depth) => (depth === 0 ? 'embedding' : `layer ${depth - 1}`));
  const cell = ({ top: [guess], next }: Expectation, following: number | undefined): Html =>
    html`<td
      style="--p:${guess.probability.toFixed(3)}"
      ${guess.id === following ? html` class="right"` : undefined}
    >
      <code>${visible(vocabulary[guess.id])}</code> ${formatPercent(guess.probability, 0)}${
        next !== undefined && guess.id === following ? html`<span class="hidden"> (right)</span>` : undefined
      }
    </td>`;
  return html`<p>
      The output head applied after each layer (the “logit lens”). Framed predictions are right: they are the
      token that comes next.
    </p>
    <div class="scroll" tabindex="0" role="group" aria-label="Predictions after every layer">
      <table class="guesses">
        <thead>
          <tr>
            <th scope="col">after</th>
            ${depths.map((name) => html`<th scope="col">${name}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${expectations.map(
            (layers, t) =>
              html`<tr>
                <th scope="row"><code>${visible(vocabulary[ids[t]])}</code></th>
                ${layers.map((layer) => cell(layer, ids[t + 1]))}
              </tr> `,
          )}
        </tbody>
      </table>
    </div>`;
}

/** Parameters by part, and statistics of every tensor. */
export function parameters(config: ModelConfig, weights: readonly WeightStatistics[]): Html {
  const total = countParameters(config);
  return html`<div class="scroll" tabindex="0" role="group" aria-label="Parameters by part">
      <table class="numbers">
        <thead>
          <tr>
            <th scope="col">part</th>
            <th scope="col">parameters</th>
            <th scope="col">share</th>
          </tr>
        </thead>
        <tbody>
          ${Object.entries(parametersByPart(config)).map(
            ([part, n]) =>
              html`<tr>
                <th scope="row">${part}</th>
                <td>${formatNumber(n)}</td>
                <td>${formatPercent(n / total)}</td>
              </tr>`,
          )}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">together</th>
            <td>${formatNumber(total)}</td>
            <td></td>
          </tr>
        </tfoot>
      </table>
    </div>
    <details>
      <summary>Every tensor</summary>
      <div class="scroll" tabindex="0" role="group" aria-label="Statistics of every tensor">
        <table class="numbers">
          <thead>
            <tr>
              ${['tensor', 'shape', 'mean', 'std', 'min', 'max', 'zeros', 'norm'].map((name) => html`<th scope="col">${name}</th>`)}
            </tr>
          </thead>
          <tbody>
            ${weights.map(
              ({ name, shape, mean, std, min, max, zeros, norm }) =>
                html`<tr>
                  <th scope="row"><code>${name}</code></th>
                  <td>${shape.join('×')}</td>
                  ${[mean, std, min, max].map((value) => html`<td>${figures(value)}</td>`)}
                  <td>${formatPercent(zeros, 0)}</td>
                  <td>${figures(norm)}</td>
                </tr> `,
            )}
          </tbody>
        </table>
      </div>
    </details>`;
}
