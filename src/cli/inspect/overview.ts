/** `gpt inspect` without further flags: an overview of the model. */
import { IS_AVERAGE, type ModelFolder } from '../../checkpoint/model-folder.ts';
import { summarizeRun, thinned, type RunRecord } from '../../inspect/run-record.ts';
import { readWeights, weightStatistics, type WeightStatistics } from '../../inspect/weights.ts';
import { architectureOf } from '../../model/architectures/registry.ts';
import type { ModelConfig } from '../../model/config.ts';
import { countParameters, parametersByPart } from '../../model/parameters.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import {
  formatCount,
  formatCountOf,
  formatDuration,
  formatLoss,
  formatNumber,
  formatPercent,
  formatRate,
} from '../../format.ts';
import { formatColumns } from '../columns.ts';
import { factTable } from '../fact-table.ts';
import { whileDoing } from '../activity.ts';
import { chartLegend, lineChart, MAX_CHART_WIDTH } from '../line-chart.ts';
import { describeHead, lossesToJson } from '../run-summary.ts';
import { printJson, snakeCased } from '../json-output.ts';
import { runOf } from '../read-run.ts';
import { print, printableLine, stdoutColors } from '../terminal.ts';
import { columnsOf, cut, tokenLabel } from '../token-label.ts';

const CHART_HEIGHT = 8;
const CHART_POINTS = 300;

export async function printOverview(
  folder: ModelFolder,
  { json }: { readonly json: boolean },
): Promise<void> {
  const run = runOf(folder);
  const weights = await whileDoing('reading the weights', ({ report }) => {
    const tensors = readWeights(folder, (done) => report('reading the weights', done));
    return tensors.map((tensor, i) => {
      report('measuring the weights', i / tensors.length);
      return weightStatistics(tensor);
    });
  });
  if (json) {
    await printJson(toJson(run, weights), 2);
    return;
  }
  const width = Math.min(process.stdout.columns ?? 80, MAX_CHART_WIDTH);
  const title = (text: string): string => `\n${stdoutColors.bold(text)}\n`;
  await print(`${modelTable(run, width)}\n`);
  await print(`${title('Parameters')}${partsTable(folder.config)}\n`);
  await print(`${title('Training')}${history(run, width)}\n`);
  await print(`${title('Weights')}${weightsTable(weights)}\n`);
}

function modelTable({ model, state }: RunRecord, width: number): string {
  const { config, tokenizer, metadata } = model;
  const { nLayer, nHead, nEmbd, blockSize } = config;
  const value = width - 14;
  const rows: [string, string][] = [
    ['model', printableLine(model.folder)],
    [
      'shape',
      `${formatCountOf(nLayer, 'layer')}, ${formatCountOf(nHead, 'head')}, ${formatCountOf(nEmbd, 'channel')}, block ${blockSize}; ${formatCount(countParameters(config))} parameters`,
    ],
    ['kind', `${architectureOf(config).describe(config)}${describeHead(config)}, dropout ${config.dropout}`],
    ['tokenizer', `${tokenizer.kind}, ${formatNumber(config.vocabSize)} tokens`],
    ['', stdoutColors.dim(someTokens(tokenizer, value))],
  ];
  if (metadata['step'] !== undefined)
    rows.push([
      'weights',
      `${metadata[IS_AVERAGE] === 'true' ? 'moving average at' : 'of'} step ${printableLine(metadata['step'])}`,
    ]);
  if (state !== undefined) {
    const { options } = state;
    const corpus = Array.isArray(options['corpus']) ? options['corpus'].join(', ') : '';
    rows.push(['corpus', cut(printableLine(corpus), value)]);
    rows.push([
      'settings',
      `${printableLine([options['optimizer'], options['schedule'], options['learningRate']].map(String).join(', '))}, seed ${state.seed}`,
    ]);
  }
  return factTable(rows, process.stdout);
}

/** Evenly spaced tokens of the vocabulary, as many as fit on one line. */
function someTokens({ vocabulary }: Tokenizer, width: number): string {
  const labels: string[] = [];
  let used = 2;
  const stride = Math.max(1, Math.floor(vocabulary.length / (width / 2)));
  for (let id = 0; id < vocabulary.length; id += stride) {
    const label = tokenLabel(vocabulary[id]);
    used += columnsOf(label) + 1;
    if (used > width) return `${labels.join(' ')} …`;
    labels.push(label);
  }
  return labels.join(' ');
}

function partsTable(config: ModelConfig): string {
  const total = countParameters(config);
  const parts = Object.entries(parametersByPart(config)).map(([name, n]) => [
    name,
    formatNumber(n),
    formatPercent(n / total),
  ]);
  return formatColumns(['part', 'parameters', 'share'], [...parts, ['total', formatNumber(total), '']]);
}

function history(run: RunRecord, width: number): string {
  const { steps, evaluations } = run.logs;
  if (steps.length === 0 && evaluations.length === 0)
    return stdoutColors.dim('  The folder has no metrics.jsonl with its training history.');
  const summary = summarizeRun(run);
  const series = [
    {
      name: 'step loss',
      points: thinned(steps, ({ loss }) => loss, CHART_POINTS).map(
        ({ step, value }) => [step, value] as const,
      ),
      color: stdoutColors.dim,
    },
    {
      name: 'training',
      points: evaluations.map(({ step, trainLoss }) => [step, trainLoss] as const),
      color: stdoutColors.blue,
    },
    {
      name: 'validation',
      points: evaluations.map(({ step, validationLoss }) => [step, validationLoss] as const),
      color: stdoutColors.yellow,
    },
  ].filter(({ points }) => points.length > 0);
  const { validation, last, seconds, tokensPerSecond } = summary;
  const rows: [string, string][] = [];
  if (summary.steps !== undefined)
    rows.push([
      'steps',
      `${formatNumber(summary.steps)}${summary.tokensSeen === undefined ? '' : `, ${formatCount(summary.tokensSeen)} tokens`}`,
    ]);
  if (validation !== undefined)
    rows.push([
      'validation loss',
      `${formatLoss(validation)} at step ${formatNumber(validation.step)}${validation.isEstimate ? ', an estimate' : ', on the whole split'}`,
    ]);
  if (last !== undefined)
    rows.push([
      'last estimates',
      `training ${last.trainLoss.toFixed(4)}, validation ${last.validationLoss.toFixed(4)} at step ${formatNumber(last.step)}`,
    ]);
  if (seconds !== undefined && tokensPerSecond !== undefined)
    rows.push(['time', `${formatDuration(seconds)} in steps, ${formatRate(tokensPerSecond, 'tok')}`]);
  const chart = lineChart(series, { width, height: CHART_HEIGHT }, stdoutColors);
  return [
    chart,
    `  ${chartLegend(series)}   ${stdoutColors.dim('nats per token over steps')}`,
    '',
    factTable(rows, process.stdout),
  ].join('\n');
}

function weightsTable(weights: readonly WeightStatistics[]): string {
  return formatColumns(
    ['tensor', 'shape', 'mean', 'std', 'min', 'max', 'zeros', 'norm'],
    weights.map(({ name, shape, mean, std, min, max, zeros, norm }) => [
      name,
      shape.join('×'),
      short(mean),
      short(std),
      short(min),
      short(max),
      zeros === 0 ? '' : formatPercent(zeros, 0),
      short(norm),
    ]),
  );
}

/** A number for a narrow column: `123.4`, `12.34`, `0.041`, `3e-5`. */
function short(value: number): string {
  const size = Math.abs(value);
  if (!Number.isFinite(value) || value === 0) return String(value);
  if (size >= 1000) return value.toPrecision(4).replace(/\.?0*e\+?/, 'e');
  if (size >= 0.001) return value.toFixed(size >= 100 ? 1 : size >= 10 ? 2 : 3);
  return value.toExponential(0);
}

function toJson(run: RunRecord, weights: readonly WeightStatistics[]) {
  const { model, state } = run;
  const { config, tokenizer } = model;
  const { seconds, steps, tokensSeen, tokensPerSecond } = summarizeRun(run);
  return {
    folder: model.folder,
    config: snakeCased(config),
    tokenizer: { kind: tokenizer.kind, vocab_size: config.vocabSize },
    parameters: { total: countParameters(config), by_part: parametersByPart(config) },
    training: {
      steps: steps ?? null,
      tokens_seen: tokensSeen ?? null,
      seconds: seconds ?? null,
      tokens_per_second: tokensPerSecond ?? null,
      ...lossesToJson(run),
      options: snakeCased(state?.options ?? null),
    },
    weights,
  };
}
