/** The table of a run, and notices and warnings before the first step. */
import { MAX_EPOCHS } from '../../train/choose-model.ts';
import type { TextChange } from '../../train/new-text.ts';
import { hasDecayEnd } from '../../train/schedule.ts';
import type { Growth } from '../../train/grow-vocabulary.ts';
import { areGradientsRounded } from '../../train/ranks/gradient-format.ts';
import type { Settings } from '../../train/settings.ts';
import type { RunDescription } from '../../train/train-handlers.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { formatBytes, formatCountOf, formatDuration, formatNumber } from '../../format.ts';
import { describeCorpus } from '../corpus-summary.ts';
import { warnOfReplacements } from '../decoding-options.ts';
import { warnOfSlowEngine } from '../model-options.ts';
import { factTable } from '../fact-table.ts';
import { describeModel, describeTraining } from '../run-summary.ts';
import { notice, printable, warn } from '../terminal.ts';
import { describeUse } from '../vocabulary-summary.ts';
import { warningsBefore } from './warnings.ts';

export function printRunTable({ settings, corpus, tokens, tokenizer, config, ...run }: RunDescription): void {
  notice(
    factTable(
      [
        ['corpus', describeCorpus(corpus)],
        ...(run.validationCorpus === undefined
          ? []
          : [['validation', describeCorpus(run.validationCorpus)] as const]),
        [
          'tokens',
          `${formatNumber(tokens.train)} to train on, ${formatNumber(tokens.validation)} to validate`,
        ],
        ['vocabulary', describeUse(tokenizer, tokens.unknown)],
        ...(settings.initFrom === undefined ? [] : [['start', printable(shown(settings.initFrom))] as const]),
        ['model', describeModel({ ...run, settings, config })],
        ['training', describeTraining({ ...run, settings, steps: settings.maxIters })],
        ...(run.expectedSeconds === undefined
          ? []
          : [['time', describeTime(run.expectedSeconds, run)] as const]),
        ['memory', formatBytes(run.memoryBytes)],
        ['engine', run.backend],
        ...(run.hosts === undefined ? [] : [['ranks', describeRanks(run.hosts, settings)] as const]),
        ...(settings.syncEvery === undefined ? [] : [['replicas', describeReplicas(settings)] as const]),
        ['folder', printable(shown(run.folder))],
      ],
      process.stderr,
    ),
  );
  warnOfSlowEngine({ name: run.backend, shortfall: run.shortfall }, run.rejected);
  if (run.growth !== undefined) notice(describeGrowth(run.growth, tokenizer));
  if (run.startStep > 0) noticeOfResume({ ...run, settings });
  if (run.textChange !== undefined) notice(startsAnew[run.textChange]);
  for (const repair of run.repairs) warn(printable(repair));
  if (run.otherEngine !== undefined)
    warn(
      `this run used ${printable(run.otherEngine)} so far; from here on, results differ in the last digits`,
    );
  if (run.otherRanks !== undefined)
    warn(
      `this run last used ${run.otherRanks === 1 ? 'one process' : `${run.otherRanks} ranks`}; with --reduce-dtype ${settings.reduceDtype}, ` +
        'rounding depends on the number of ranks, so results differ from here on',
    );
  if (process.platform === 'linux' && run.memoryBytes > process.availableMemory())
    warn(`only ${formatBytes(process.availableMemory())} of memory is free; training may become very slow`);
  warnOfReplacements(run.replacements, settings.encoding);
  for (const warning of warningsBefore({ ...run, settings, corpus, tokens, config, tokenizer }))
    warn(warning);
  notice();
}

/** '4 on a, 4 on b', or '2 on this host, gradients sent in bf16'. */
const describeRanks = (hosts: readonly string[], settings: Settings): string =>
  `${describeHosts(hosts)}${areGradientsRounded(settings) ? `, gradients sent in ${settings.reduceDtype}` : ''}`;

function describeHosts(hosts: readonly string[]): string {
  const counts = Map.groupBy(hosts, (host) => host);
  if (counts.size === 1) return `${hosts.length} on this host`;
  const named = [...counts].map(([host, ranks]) => `${ranks.length} on ${printable(host)}`);
  const shownHosts = named.length > MAX_HOSTS ? [...named.slice(0, MAX_HOSTS), '…'] : named;
  return `${hosts.length}: ${shownHosts.join(', ')}`;
}

const MAX_HOSTS = 4;

/** '4, synchronized every 32 steps' */
const describeReplicas = ({ replicas, syncEvery }: Settings): string =>
  `${replicas}, synchronized every ${formatCountOf(syncEvery!, 'step')}`;

function describeGrowth(
  { ordinary, special, first }: Growth,
  { kind, hasCharacterFallback = false }: Tokenizer,
): string {
  const names = kind === 'word' && !hasCharacterFallback ? 'new word' : 'new character';
  const added = [
    ...(ordinary === 0 ? [] : [formatCountOf(ordinary, names)]),
    ...(special.length === 0
      ? []
      : [`the special ${special.length === 1 ? 'token' : 'tokens'} ${special.map(printable).join(', ')}`]),
  ].join(' and ');
  return `Added to the vocabulary: ${added}. Their rows of the embedding start as the mean of the other ${formatNumber(first)}.`;
}

/** Share of a run's time that finding the faster device may take without being mentioned. */
const LONG_DECISION = 0.1;

function describeTime(
  seconds: number,
  {
    isLimitedByText,
    decisionSeconds,
  }: Pick<RunDescription, 'isLimitedByText'> & Partial<Pick<RunDescription, 'decisionSeconds'>>,
): string {
  return [
    `about ${formatDuration(Math.round(seconds))}`,
    ...(isLimitedByText ? [`more than ${MAX_EPOCHS} epochs would memorize the text`] : []),
    ...(decisionSeconds !== undefined && decisionSeconds > LONG_DECISION * seconds
      ? [`finding the faster of CPU and GPU took ${formatDuration(decisionSeconds)}`]
      : []),
  ].join('; ');
}

function noticeOfResume({
  startStep,
  plannedIters,
  settings,
}: Pick<RunDescription, 'startStep' | 'plannedIters' | 'settings'>): void {
  notice(`Resuming from step ${formatNumber(startStep)}.`);
  const { maxIters, lrDecayIters, schedule, learningRate, minLr } = settings;
  if (!hasDecayEnd(schedule) || maxIters <= plannedIters) return;
  const last = formatNumber(maxIters);
  if (settings.rewarmStart === startStep)
    notice(
      `The learning rate warms up again, from ${formatRateOf(settings.rewarmFrom)} to ${formatRateOf(learningRate)} over ${formatCountOf(settings.rewarmIters, 'step')}, ` +
        `and decays to ${formatRateOf(minLr)} at step ${last}.`,
    );
  else if (maxIters === lrDecayIters)
    notice(`The learning-rate decay had not started; it now ends at step ${last}.`);
  else if (maxIters > lrDecayIters)
    notice(
      `The learning rate stays at ${minLr} from step ${formatNumber(lrDecayIters)} on, where its decay ends; ` +
        `--lr-decay-iters ${maxIters} --force makes the decay longer.`,
    );
}

const formatRateOf = (learningRate: number): string => String(Number(learningRate.toPrecision(3)));

/** Measurements that a resumed run restarts because its text has changed. */
const startsAnew: Readonly<Record<TextChange, string>> = {
  text:
    'The text differs from the one this run was trained on. The best model is evaluated again ' +
    'on the new validation text; early stopping and divergence detection start over.',
  sample:
    'Losses on the validation text are no longer comparable with those before; the best model is evaluated again.',
};

/** A folder without the slash that shell completion appends. */
export const shown = (folder: string): string => folder.replace(/(?<=.)\/+$/, '');
