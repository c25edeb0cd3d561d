/** What the user says about the engine: --blas, and the environment variable GPT_ENGINE. */
import type { Command } from 'commander';
import type { BlasChoice } from '../engine/native/blas-choice.ts';
import { chooseBlas, forceVariant, variants } from '../engine/wasm.ts';
import { UsageError } from '../errors.ts';
import { shownJson } from '../json.ts';
import { choice } from '../values.ts';

/** @throws UsageError if GPT_ENGINE names no variant */
export function chooseEngine(command: Command, engine: string | undefined): void {
  if (engine) forceVariant(variantOf(engine));
  const { blas } = command.opts<{ blas?: string }>();
  if (blas !== undefined) chooseBlas(blasChoice(blas));
}

const variantOf = (name: string) => {
  const value = choice(variants);
  const variant = value.read(name);
  if (variant === undefined)
    throw new UsageError('bad-option-value', `GPT_ENGINE: ${shownJson(name)} is not ${value.expected}`);
  return variant;
};

const blasChoice = (text: string): BlasChoice => (text === 'auto' || text === 'off' ? text : { path: text });
