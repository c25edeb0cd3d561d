/** The parts of a report that are plain HTML: numbers, tables, samples, settings. */
import { settingsOf, type Difference } from '../inspect/compare-runs.ts';
import type { Expectation } from '../inspect/logit-lens.ts';
import { summariseRun, type RunRecord } from '../inspect/run-record.ts';
import { visible } from '../inspect/token-text.ts';
import type { WeightStatistics } from '../inspect/weights.ts';
import type { ModelConfig } from '../model/config.ts';
import { countParameters } from '../model/parameters.ts';
import { parametersByPart } from '../plan/model-cost.ts';
import type { ChartData, EmbeddingData } from './browser/page-data.ts';
import { LINE_COLORS, type NamedRun } from './charts.ts';
import { html, type Html } from './html.ts';
import { figures, percent, rough, timeSpan, whole } from './numbers.ts';

/** The few numbers one looks for first. */
export function tiles(run: RunRecord): Html {
  const { config } = run.model;
  const { best, last, steps, tokensSeen, seconds, tokensPerSecond } = summariseRun(run);
  const facts: (readonly [string, string, string])[] = [
    [
      'Parameters',
      rough(countParameters(config)),
      `${config.nLayer} layers, ${config.nHead} heads, ${config.nEmbd} channels`,
    ],
  ];
  if (best !== undefined)
    facts.unshift([
      'Best validation loss',
      best.validationLoss.toFixed(4),
      `at step ${whole(best.step)}; guessing costs ${Math.log(config.vocabSize).toFixed(2)}`,
    ]);
  if (last !== undefined)
    facts.push([
      'Last losses',
      last.validationLoss.toFixed(4),
      `validation; ${last.trainLoss.toFixed(4)} on the training text`,
    ]);
  if (steps !== undefined)
    facts.push(['Steps', whole(steps), tokensSeen === undefined ? '' : `${rough(tokensSeen)} tokens read`]);
  if (tokensPerSecond !== undefined && seconds !== undefined)
    facts.push(['Tokens a second', whole(tokensPerSecond), `${timeSpan(seconds)} spent in steps`]);
  return html`<dl class="tiles">
    ${facts.map(
      ([name, value, more]) =>
        html`<div>
          <dt>${name}</dt>
          <dd><strong>${value}</strong><span>${more}</span></dd>
        </div>`,
    )}
  </dl>`;
}

/** How many rows of numbers stand in for a curve. */
const CHART_ROWS = 12;

/** A chart with what it says in words, and its numbers for who cannot see it. */
export function chart({ id, unit, digits, height, series }: ChartData, title: string): Html {
  const said = series.map(({ name, steps, values }) => {
    const known = values.filter((value) => value !== null);
    const [first, last] = [known[0], known.at(-1)];
    const label = name === '' ? title : name;
    if (first === undefined || last === undefined) return `${label}: nothing but what is not finite.`;
    return `${label}: from ${first.toFixed(digits)} to ${last.toFixed(digits)}, between ${Math.min(...known).toFixed(digits)} and ${Math.max(...known).toFixed(digits)}, over steps ${steps[0]} to ${steps.at(-1)}.`;
  });
  return html`<figure class="chart">
    <figcaption>
      <strong>${title}</strong>
      <span class="unit">${unit === title.toLowerCase() ? '' : `${unit}, `}over steps</span>
    </figcaption>
    ${legend(series)}
    <div
      id="${id}"
      class="plot"
      style="min-height:${height}px"
      tabindex="0"
      role="img"
      aria-label="${title}. ${said.join(' ')} Left and right arrow keys move along the curves."
    ></div>
    <p class="reading" id="${id}-reading" aria-live="polite"></p>
    <details>
      <summary>As numbers</summary>
      <div class="scroll" tabindex="0" role="group" aria-label="${title} as numbers">
        ${series.map((each) => numbers(each, title, digits))}
      </div>
    </details>
  </figure>`;
}

/** The names of the curves in their colours; nothing where there is one without a name. */
const legend = (series: ChartData['series']): Html | undefined =>
  series.some(({ name }) => name !== '')
    ? html`<ul class="legend">
        ${series.map(({ name, color }) => html`<li><span class="swatch line-${color}"></span>${name}</li>`)}
      </ul>`
    : undefined;

function numbers({ name, steps, values }: ChartData['series'][number], title: string, digits: number): Html {
  const rows = evenly(steps.length, CHART_ROWS);
  return html`<table>
    <caption>
      ${name === '' ? title : name}
    </caption>
    <thead>
      <tr>
        <th scope="col">step</th>
        <th scope="col">value</th>
      </tr>
    </thead>
    <tbody>
      ${rows.map(
        (i) =>
          html`<tr>
            <td>${whole(steps[i])}</td>
            <td>${values[i]?.toFixed(digits) ?? 'not finite'}</td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

/** At most k of n places, the first and the last among them. */
const evenly = (n: number, k: number): number[] =>
  n <= k
    ? Array.from({ length: n }, (_, i) => i)
    : Array.from({ length: k }, (_, i) => Math.round((i * (n - 1)) / (k - 1)));

const SAMPLES = 12;

/** What the model wrote as it learnt. */
export function samples({ logs }: RunRecord): Html {
  const { samples: all, evaluations } = logs;
  if (all.length === 0)
    return html`<p>
      No samples were kept: the run was trained with <code>--quiet</code> or <code>--sample-tokens 0</code>.
    </p>`;
  const shown = evenly(all.length, SAMPLES).map((i) => all[i]);
  const loss = new Map(evaluations.map(({ step, validationLoss }) => [step, validationLoss]));
  return html`${
      shown.length < all.length
        ? html`<p class="note">${shown.length} of ${whole(all.length)}, evenly chosen.</p>`
        : undefined
    }
    <ol class="samples">
      ${shown.map(
        ({ step, text }) =>
          html`<li>
            <h3>
              Step
              ${whole(step)}${
                loss.has(step)
                  ? html` <span class="unit">validation loss ${loss.get(step)!.toFixed(4)}</span>`
                  : undefined
              }
            </h3>
            <pre>${text}</pre>
          </li>`,
      )}
    </ol>`;
}

/** The map is drawn by a script; what it would show on hovering can be chosen from a list and read. */
export function embeddingMap(
  { labels, kinds, nearest }: EmbeddingData,
  explained: number,
  all: number,
): Html {
  return html`<p>
      Tokens that the model treats alike lie close together. Of all that sets the embeddings apart, these two
      directions (principal components) show
      ${percent(explained, 0)}.${
        labels.length < all ? ` The map has the first ${whole(labels.length)} of ${whole(all)} tokens.` : ''
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
      <output id="map-reading" for="map-token">Choose a token, or point at one, to see its nearest.</output>
    </div>
    <div
      id="embedding-map"
      class="plot map"
      role="img"
      aria-label="Map of ${labels.length} token embeddings. The list of tokens above and the table below say the same in words."
    ></div>
    <ul class="legend" aria-label="Colours of the map">
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

/** The frame that the script fills with the map of the chosen head. */
export function attentionMaps(nLayer: number, nHead: number, hasPage: boolean): Html {
  const choices = (n: number, name: string) => [
    html`<option value="-1">mean of all</option>`,
    ...Array.from({ length: n }, (_, i) => html`<option value="${i}">${name} ${i}</option>`),
  ];
  return html`<p>
      Where each head looks while the model reads ${hasPage ? 'its last sample' : 'this text'}: a row is a
      token, its shades say how much it takes from each token before it. Choose a token to see its row in the
      text.
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
        aria-label="The text; choose a token to see where it looks"
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

/** What the model expects after each token, and how the guess forms layer by layer. */
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
      <code>${visible(vocabulary[guess.id])}</code> ${percent(guess.probability, 0)}${
        next !== undefined && guess.id === following ? html`<span class="hidden"> (right)</span>` : undefined
      }
    </td>`;
  return html`<p>
      The output head reads what every layer leaves behind (the “logit lens”). Framed guesses are right: they
      are the token that comes next.
    </p>
    <div class="scroll" tabindex="0" role="group" aria-label="Guesses of every layer">
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

/** Parameters by part, and the statistics of every tensor. */
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
                <td>${whole(n)}</td>
                <td>${percent(n / total)}</td>
              </tr>`,
          )}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">together</th>
            <td>${whole(total)}</td>
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
                  <td>${percent(zeros, 0)}</td>
                  <td>${figures(norm)}</td>
                </tr> `,
            )}
          </tbody>
        </table>
      </div>
    </details>`;
}

/** Every setting of a run. */
export function configuration(run: RunRecord): Html {
  return html`<div class="scroll" tabindex="0" role="group" aria-label="Settings">
    <table class="settings">
      <thead>
        <tr>
          <th scope="col">setting</th>
          <th scope="col">value</th>
        </tr>
      </thead>
      <tbody>
        ${[...settingsOf(run)].map(
          ([setting, value]) =>
            html`<tr>
              <th scope="row">${setting}</th>
              <td>${value}</td>
            </tr> `,
        )}
      </tbody>
    </table>
  </div>`;
}

/** How several runs ended, side by side. */
export function results(runs: readonly NamedRun[], sameTokens: boolean): Html {
  const number = (value: number | undefined, show: (value: number) => string): string =>
    value === undefined ? '–' : show(value);
  return html`<div class="scroll" tabindex="0" role="group" aria-label="Results of the runs">
      <table class="numbers">
        <thead>
          <tr>
            ${['run', 'parameters', 'steps', 'best validation loss', 'last validation loss', 'last training loss', 'tokens a second', 'time'].map((name) => html`<th scope="col">${name}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${runs.map(({ name, run }, i) => {
            const { best, last, steps, seconds, tokensPerSecond } = summariseRun(run);
            return html`<tr>
              <th scope="row"><span class="swatch line-${(i % LINE_COLORS) + 1}"></span>${name}</th>
              <td>${rough(countParameters(run.model.config))}</td>
              <td>${number(steps, whole)}</td>
              <td>${number(best?.validationLoss, (x) => x.toFixed(4))}</td>
              <td>${number(last?.validationLoss, (x) => x.toFixed(4))}</td>
              <td>${number(last?.trainLoss, (x) => x.toFixed(4))}</td>
              <td>${number(tokensPerSecond, whole)}</td>
              <td>${number(seconds, timeSpan)}</td>
            </tr> `;
          })}
        </tbody>
      </table>
    </div>
    ${
      sameTokens
        ? undefined
        : html`<p class="note">
            The runs have different tokenizers, so their losses per token cannot be compared.
            <code>gpt eval</code> measures bits per byte, which can.
          </p>`
    }`;
}

/** The settings in which runs differ. */
export function settingsThatDiffer(runs: readonly NamedRun[], found: readonly Difference[]): Html {
  if (found.length === 0) return html`<p>All settings are the same.</p>`;
  return html`<div class="scroll" tabindex="0" role="group" aria-label="Settings that differ">
    <table class="settings">
      <thead>
        <tr>
          <th scope="col">setting</th>
          ${runs.map(({ name }) => html`<th scope="col">${name}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${found.map(
          ({ setting, values }) =>
            html`<tr>
              <th scope="row">${setting}</th>
              ${values.map((value) => html`<td>${value ?? '–'}</td>`)}
            </tr> `,
        )}
      </tbody>
    </table>
  </div>`;
}

/** The last sample of each run. */
export function lastSamples(runs: readonly NamedRun[]): Html {
  return html`<ol class="samples">
    ${runs.map(({ name, run }) => {
      const last = run.logs.samples.at(-1);
      return html`<li>
        <h3>
          ${name}${last === undefined ? undefined : html` <span class="unit">step ${whole(last.step)}</span>`}
        </h3>
        ${last === undefined ? html`<p>no samples were kept</p>` : html`<pre>${last.text}</pre>`}
      </li>`;
    })}
  </ol>`;
}
