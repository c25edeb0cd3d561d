/** Describes a run on the page before its first step. */
import type { RunSummary } from './messages.ts';
import { counted, duration, inShort } from './numbers.ts';

/** A time limit from the form. */
export interface TimeLimit {
  readonly seconds: number;
  /** Such as `3 minutes`. */
  readonly name: string;
}

/** Model, text and device. */
export const factsOf = ({
  parameters,
  layers,
  channels,
  heads,
  blockSize,
  vocabulary,
  tokens,
  engine,
}: RunSummary): string =>
  [
    `${counted(parameters, 'parameter', inShort)} in ${counted(layers, 'layer')} of ${counted(channels, 'channel')} and ${counted(heads, 'head')}`,
    `context of ${counted(blockSize, 'token')}`,
    `vocabulary of ${counted(vocabulary, 'token')}`,
    `${counted(tokens, 'token', inShort)} to train on`,
    engine,
  ].join(' · ');

/** Explains why a run takes more or less time than it was given. */
export function cautionAbout(
  { expectedSeconds, isLimitedByText, steps, epochs }: RunSummary,
  limit: TimeLimit | undefined,
): string | undefined {
  if (limit === undefined || expectedSeconds === undefined) return undefined;
  const time = `about ${duration(expectedSeconds)}`;
  if (expectedSeconds > 1.1 * limit.seconds)
    return steps === 1
      ? `This model is too large for ${limit.name}: a single step with its evaluation takes ${time}.`
      : `It takes ${time}, not ${limit.name}: at its end, a model of this size takes long to be evaluated on the whole validation text.`;
  return isLimitedByText && expectedSeconds < 0.9 * limit.seconds
    ? `It takes ${time}, not ${limit.name}: the text is short, and after ${counted(Math.round(epochs), 'epoch')} the model would begin to memorize it.`
    : undefined;
}
