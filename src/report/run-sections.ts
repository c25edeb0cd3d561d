/** Sections of a report about training: key figures, curves with descriptions, samples, settings. */
import { formatLoss, formatNumber } from '../format.ts';
import { settingsOf, type Difference } from '../inspect/compare-runs.ts';
import { summarizeRun, type RunRecord } from '../inspect/run-record.ts';
import { countParameters } from '../model/parameters.ts';
import type { ChartData } from './browser/page-data.ts';
import { LINE_COLORS, type NamedRun } from './charts.ts';
import { html, type Html } from './html.ts';
import { rough, timeSpan } from './numbers.ts';

/** Key figures. */
export function tiles(run: RunRecord): Html {
  const { config } = run.model;
  const { validation, last, steps, tokensSeen, seconds, tokensPerSecond } = summarizeRun(run);
  const facts: (readonly [string, string, string])[] = [
    [
      'Parameters',
      rough(countParameters(config)),
      `${config.nLayer} layers, ${config.nHead} heads, ${config.nEmbd} channels`,
    ],
  ];
  if (validation !== undefined)
    facts.unshift([
      'Validation loss',
      formatLoss(validation),
      `${validation.isEstimate ? 'an estimate, ' : ''}${validation.isAverage ? 'average of the weights ' : ''}at step ${formatNumber(validation.step)}; guessing costs ${Math.log(config.vocabSize).toFixed(2)}`,
    ]);
  if (last !== undefined)
    facts.push([
      'Last estimates',
      last.validationLoss.toFixed(4),
      `validation; ${last.trainLoss.toFixed(4)} on the training text`,
    ]);
  if (steps !== undefined)
    facts.push([
      'Steps',
      formatNumber(steps),
      tokensSeen === undefined ? '' : `${rough(tokensSeen)} tokens read`,
    ]);
  if (tokensPerSecond !== undefined && seconds !== undefined)
    facts.push(['Tokens a second', formatNumber(tokensPerSecond), `${timeSpan(seconds)} spent in steps`]);
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

/** Rows of the table that accompanies a curve. */
const CHART_ROWS = 12;

/** A chart with a description in words and a table of its numbers, for screen readers. */
export function chart({ id, unit, digits, height, series }: ChartData, title: string): Html {
  const said = series.map(({ name, steps, values }) => {
    const known = values.filter((value) => value !== null);
    const [first, last] = [known[0], known.at(-1)];
    const label = name === '' ? title : name;
    if (first === undefined || last === undefined) return `${label}: no finite values.`;
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

/** The curves' names in their colors; undefined for a single curve without a name. */
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
            <td>${formatNumber(steps[i])}</td>
            <td>${values[i]?.toFixed(digits) ?? 'not finite'}</td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

/** At most k of n indices, evenly spaced, including the first and the last. */
const evenly = (n: number, k: number): number[] =>
  n <= k
    ? Array.from({ length: n }, (_, i) => i)
    : Array.from({ length: k }, (_, i) => Math.round((i * (n - 1)) / (k - 1)));

const SAMPLES = 12;

/** Samples during training. */
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
        ? html`<p class="note">${shown.length} of ${formatNumber(all.length)}, evenly chosen.</p>`
        : undefined
    }
    <ol class="samples">
      ${shown.map(
        ({ step, text }) =>
          html`<li>
            <h3>
              Step
              ${formatNumber(step)}${
                loss.has(step)
                  ? html` <span class="unit">validation loss about ${loss.get(step)!.toFixed(4)}</span>`
                  : undefined
              }
            </h3>
            <pre>${text}</pre>
          </li>`,
      )}
    </ol>`;
}

/** All settings of a run. */
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

/** Final results of several runs. */
export function results(runs: readonly NamedRun[], sameTokens: boolean): Html {
  const number = (value: number | undefined, show: (value: number) => string): string =>
    value === undefined ? '–' : show(value);
  return html`<div class="scroll" tabindex="0" role="group" aria-label="Results of the runs">
      <table class="numbers">
        <thead>
          <tr>
            ${['run', 'parameters', 'steps', 'validation loss', 'tokens a second', 'time'].map((name) => html`<th scope="col">${name}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${runs.map(({ name, run }, i) => {
            const { validation, steps, seconds, tokensPerSecond } = summarizeRun(run);
            return html`<tr>
              <th scope="row"><span class="swatch line-${(i % LINE_COLORS) + 1}"></span>${name}</th>
              <td>${rough(countParameters(run.model.config))}</td>
              <td>${number(steps, (n) => formatNumber(n))}</td>
              <td>${validation === undefined ? '–' : formatLoss(validation)}</td>
              <td>${number(tokensPerSecond, (n) => formatNumber(n))}</td>
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

/** Settings in which the runs differ. */
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
          ${name}${last === undefined ? undefined : html` <span class="unit">step ${formatNumber(last.step)}</span>`}
        </h3>
        ${last === undefined ? html`<p>no samples were kept</p>` : html`<pre>${last.text}</pre>`}
      </li>`;
    })}
  </ol>`;
}
