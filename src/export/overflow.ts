import { UserError } from '../errors.ts';
import { firstBeyondBfloat16, firstBeyondFloat16 } from '../half-precision.ts';
import { shownJson } from '../json.ts';
import { optionValues } from '../messages.ts';

/** @throws UserError for a weight that would become infinite in a 16-bit format */
export function refuseOverflow(tensor: string, values: Float32Array, dtype: string): void {
  const [index, largest, remedies] =
    dtype === 'f16'
      ? [firstBeyondFloat16(values), '65504', ['bf16', 'f32']]
      : dtype === 'bf16'
        ? [firstBeyondBfloat16(values), '3.39e38', ['f32']]
        : [-1, '', []];
  if (index < 0) return;
  throw new UserError(
    'unsupported-format',
    `${shownJson(tensor)} holds ${values[index]}, which is too large for ${dtype} (${largest} at most)`,
    { hint: `use ${remedies.map((remedy) => optionValues({ dtype: remedy })).join(' or ')}` },
  );
}
