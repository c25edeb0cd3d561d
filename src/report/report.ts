/** Reports of a single run, and comparisons of several. */
import { formatNumber } from '../format.ts';
import { basename, resolve } from 'node:path';
import { differences, haveSameTokens } from '../inspect/compare-runs.ts';
import { summarizeRun, type RunRecord } from '../inspect/run-record.ts';
import { countParameters } from '../model/parameters.ts';
import type { ChartData } from './browser/page-data.ts';
import { chartsOf, type NamedRun } from './charts.ts';
import { html, type Html } from './html.ts';
import * as modelSections from './model-sections.ts';
import type { ModelViews } from './model-views.ts';
import { rough } from './numbers.ts';
import { renderPage, type Page, type Section } from './page.ts';
import * as runSections from './run-sections.ts';

/** The shortest distinct suffixes of the runs' paths. */
export function namesOf(folders: readonly string[]): string[] {
  const paths = folders.map((folder) => resolve(folder).split(/[/\\]/));
  for (let parts = 1; ; parts++) {
    const names = paths.map((path) => path.slice(-parts).join('/'));
    if (new Set(names).size === new Set(paths.map((path) => path.join('/'))).size) return names;
  }
}

/** @param hasSample the text is the last sample of the run */
export function runReport(run: RunRecord, views: ModelViews, { hasSample }: { hasSample: boolean }): string {
  return renderPage(runPage(run, views, hasSample));
}

function runPage(run: RunRecord, views: ModelViews, hasSample: boolean): Page {
  const { config, tokenizer, folder } = run.model;
  const name = basename(resolve(folder));
  const charts = chartsOf([{ name, run }]);
  const { steps } = summarizeRun(run);
  const all: Section[] = [
    { id: 'overview', title: 'Overview', content: runSections.tiles(run) },
    ...curveSections(charts, 'Loss'),
    { id: 'samples', title: 'Samples over time', content: runSections.samples(run) },
    {
      id: 'embeddings',
      title: 'Embeddings',
      content: modelSections.embeddingMap(views.embeddings, views.explained, config.vocabSize),
    },
    {
      id: 'attention-section',
      title: 'Attention',
      content: modelSections.attentionMaps(config.nLayer, config.nHead, hasSample),
    },
    {
      id: 'guesses',
      title: 'How predictions form',
      content: modelSections.guesses(views.ids, views.expectations, tokenizer.vocabulary),
    },
    { id: 'parameters', title: 'Parameters', content: modelSections.parameters(config, views.weights) },
    { id: 'configuration', title: 'Configuration', content: runSections.configuration(run) },
  ];
  return {
    title: name,
    lead: `A GPT of ${rough(countParameters(config))} parameters over ${formatNumber(config.vocabSize)} tokens (${tokenizer.kind})${steps === undefined ? '' : `, trained for ${formatNumber(steps)} steps`}.`,
    sections: all,
    data: { charts, embeddings: views.embeddings, attention: views.attention },
  };
}

/** A comparison of several runs. */
export function comparisonReport(runs: readonly NamedRun[]): string {
  const charts = chartsOf(runs);
  const records = runs.map(({ run }) => run);
  return renderPage({
    title: `${runs.length} runs compared`,
    lead: runs.map(({ name }) => name).join(', '),
    sections: [
      { id: 'overview', title: 'Results', content: runSections.results(runs, haveSameTokens(records)) },
      ...curveSections(charts, 'Validation loss'),
      {
        id: 'configuration',
        title: 'Settings that differ',
        content: runSections.settingsThatDiffer(runs, differences(records)),
      },
      { id: 'samples', title: 'Last samples', content: runSections.lastSamples(runs) },
    ],
    data: { charts, embeddings: null, attention: null },
  });
}

const TITLES: Readonly<Record<string, string>> = {
  'chart-learning-rate': 'Learning rate',
  'chart-speed': 'Throughput',
  'chart-gradient': 'Gradient norm',
};

function curveSections(charts: readonly ChartData[], lossTitle: string): Section[] {
  if (charts.length === 0)
    return [
      {
        id: 'training',
        title: 'Training',
        content: html`<p>The folder has no metrics.jsonl with its training history.</p>`,
      },
    ];
  const [loss, ...others] = charts.map((chart): [string, Html] => [
    chart.id,
    runSections.chart(chart, TITLES[chart.id] ?? lossTitle),
  ]);
  return [
    {
      id: 'training',
      title: 'Training',
      content: html`${loss[1]}
        <div class="charts">${others.map(([, content]) => content)}</div>`,
    },
  ];
}
