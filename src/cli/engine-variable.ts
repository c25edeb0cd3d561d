/** The environment variable GPT_ENGINE: selects a variant of the engine instead of the fastest. */
import { forceVariant, variants } from '../engine/wasm.ts';
import { UsageError } from '../errors.ts';
import { shownJson } from '../json.ts';
import { choice } from '../values.ts';

/** @throws UsageError if there is no such variant */
export function applyEngineVariable(name: string): void {
  const value = choice(variants);
  const variant = value.read(name);
  if (variant === undefined)
    throw new UsageError('bad-option-value', `GPT_ENGINE: ${shownJson(name)} is not ${value.expected}`);
  forceVariant(variant);
}
