import type { Run } from '../../checkpoint/run.ts';
import type { ChosenBackend } from '../../engine/backend.ts';
import { countParameters, countTrained } from '../../model/parameters.ts';
import { isModelOpen } from '../budget.ts';
import { roundingRanks } from '../ranks/gradient-format.ts';
import { sequencesBefore } from '../sequences.ts';
import { countTokens } from '../training-data.ts';
import type { RunDescription } from '../train-handlers.ts';
import { buildOf, hasSameBits } from './kernel-build.ts';
import type { PreparedRun } from './prepare-run.ts';

export function describeRun(
  { origin, data, settings, config, memory, ...prepared }: PreparedRun,
  { folder }: Run,
  { backend, rejected }: ChosenBackend,
  hosts: readonly string[] | undefined,
): RunDescription {
  const { resumed } = origin;
  const { tokensPerStep } = prepared;
  const formerBuild = resumed?.checkpoint.state.engine;
  const isSameEngine = formerBuild === undefined || hasSameBits(formerBuild, buildOf(backend.name));
  const ranks = roundingRanks(settings, hosts?.length ?? 1);
  const formerRanks = ranks === undefined ? undefined : resumed?.checkpoint.state.ranks;
  return {
    settings,
    folder,
    corpus: data.corpus,
    validationCorpus: data.validationCorpus,
    tokens: countTokens(data),
    split: { train: data.train, validation: data.validation },
    documentEnd: data.documentEnd,
    replacements: data.replacements,
    tokenizer: data.tokenizer,
    growth: data.growth,
    config,
    isResumed: resumed !== undefined,
    startStep: resumed?.checkpoint.state.step ?? 0,
    plannedIters: (origin.resumed === undefined ? settings : origin.before).maxIters,
    parameters: countParameters(config),
    trainedParameters: countTrained(config),
    memoryBytes: memory.engine + memory.transfers,
    tokensPerStep,
    epochs: (sequencesBefore(settings.maxIters, settings) * config.blockSize) / data.train.length,
    expectedSeconds: prepared.expectedSeconds,
    decisionSeconds: prepared.decisionSeconds,
    isModelChosen: prepared.time !== undefined && resumed === undefined && isModelOpen(origin.options),
    isLimitedByTime: prepared.time !== undefined && settings.maxIters < prepared.time.maxSteps,
    isLimitedByText: prepared.time !== undefined && settings.maxIters >= prepared.time.maxSteps,
    backend: backend.name,
    hosts,
    otherEngine: isSameEngine ? undefined : formerBuild,
    otherRanks: formerRanks === ranks ? undefined : formerRanks,
    cautions: prepared.cautions,
    textChange: prepared.change,
    repairs: resumed?.repairs ?? [],
    rejected,
    shortfall: backend.shortfall,
    uniformLoss: Math.log(config.vocabSize),
  };
}
