/** Parses and validates the header of a safetensors file, before anything in it is used. */
import { UserError } from '../errors.ts';
import { isJsonObject, parseJsonObject, shownJson } from '../json.ts';

/** All ways a file can be invalid; each has a test. */
export type SafetensorsProblem =
  | 'too short'
  | 'header too large'
  | 'header beyond the end'
  | 'header is not UTF-8'
  | 'header is not JSON'
  | 'bad metadata'
  | 'bad entry'
  | 'unknown dtype'
  | 'unsupported dtype'
  | 'size does not fit the shape'
  | 'hole or overlap'
  | 'trailing bytes'
  | 'newer version'
  | 'checksum missing'
  | 'checksum differs'
  | 'not finite';

const DAMAGED = 'the file is damaged or was not written completely; use another copy';
const hints: { readonly [P in SafetensorsProblem]?: string } = {
  'newer version': 'update gpt to read it',
  'unsupported dtype': 'save the model as float32 or bfloat16: model.float().save_pretrained(...)',
  'not finite': 'the training that wrote it diverged; use an earlier checkpoint or another copy',
};

export class SafetensorsError extends UserError {
  override readonly name = 'SafetensorsError';
  readonly problem: SafetensorsProblem;
  constructor(file: string, problem: SafetensorsProblem, detail: string) {
    super(problem === 'newer version' ? 'newer-version' : 'damaged-file', `${file}: ${detail}`, {
      hint: hints[problem] ?? DAMAGED,
    });
    this.problem = problem;
  }
}

/** Throws a SafetensorsError. */
export type Fail = (problem: SafetensorsProblem, detail: string) => never;

/** Bytes per element. */
export const dtypeSizes = {
  F64: 8,
  I64: 8,
  U64: 8,
  F32: 4,
  I32: 4,
  U32: 4,
  F16: 2,
  BF16: 2,
  I16: 2,
  U16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const;
export type Dtype = keyof typeof dtypeSizes;
/** Dtypes of the format that are not supported. */
const OTHER_DTYPES: readonly unknown[] = ['F8_E4M3', 'F8_E5M2', 'F8_E8M0', 'F6_E2M3', 'F6_E3M2', 'F4', 'C64'];

export interface TensorEntry {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** In bytes, relative to the start of the data. */
  readonly start: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  /** In the order of their data. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
  /** Offset of the data in the file, in bytes. */
  readonly dataStart: number;
}

export const METADATA = '__metadata__';

/** Validates a header. @param dataLength length of the rest of the file, in bytes */
export function parseHeader(bytes: Uint8Array, dataLength: number, fail: Fail): SafetensorsHeader {
  const json = parseJson(bytes, fail);
  const tensors: TensorEntry[] = [];
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(json)) {
    if (name === METADATA) metadata = checkMetadata(value, fail);
    else tensors.push(checkEntry(name, value, fail));
  }
  tensors.sort((a, b) => a.start - b.start || a.end - b.end || (a.name < b.name ? -1 : 1));
  let end = 0;
  for (const tensor of tensors) {
    if (tensor.start !== end)
      fail(
        'hole or overlap',
        `${shownJson(tensor.name)} starts at byte ${tensor.start} of the data, not at ${end}`,
      );
    end = tensor.end;
  }
  if (end !== dataLength)
    fail(
      end > dataLength ? 'too short' : 'trailing bytes',
      `the tensors take ${end} bytes, but the file has ${dataLength} for them`,
    );
  return {
    tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])),
    metadata,
    dataStart: 8 + bytes.length,
  };
}

function parseJson(bytes: Uint8Array, fail: Fail): Record<string, unknown> {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return fail('header is not UTF-8', 'the header is not UTF-8 text');
  }
  if (!text.startsWith('{')) return fail('header is not JSON', 'the header does not start with {');
  return parseJsonObject(text, (what) => fail('header is not JSON', `the header ${what}`));
}

function checkMetadata(value: unknown, fail: Fail): Record<string, string> {
  if (!isJsonObject(value))
    return fail('bad metadata', `"${METADATA}" is ${shownJson(value)}, not an object`);
  for (const [key, entry] of Object.entries(value))
    if (typeof entry !== 'string')
      fail(
        'bad metadata',
        `"${METADATA}" gives ${shownJson(key)} the value ${shownJson(entry)}, not a string`,
      );
  return value as Record<string, string>;
}

const isSize = (n: unknown): n is number => typeof n === 'number' && Number.isSafeInteger(n) && n >= 0;

function checkEntry(name: string, value: unknown, fail: Fail): TensorEntry {
  const shown = shownJson(name);
  if (!isJsonObject(value)) return fail('bad entry', `${shown} is ${shownJson(value)}, not an object`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (OTHER_DTYPES.includes(dtype))
    return fail('unsupported dtype', `${shown} is ${String(dtype)}, which is not supported`);
  if (typeof dtype !== 'string' || !Object.hasOwn(dtypeSizes, dtype))
    return fail('unknown dtype', `${shown} has the unknown dtype ${shownJson(dtype)}`);
  if (!Array.isArray(shape) || !shape.every(isSize))
    return fail('bad entry', `${shown} has the shape ${shownJson(shape)}`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize) || offsets[0] > offsets[1])
    return fail('bad entry', `${shown} has the data_offsets ${shownJson(offsets)}`);
  const [start, end] = offsets as [number, number];
  const bytes = shape.reduce((a: number, b: number) => a * b, dtypeSizes[dtype as Dtype]);
  if (bytes !== end - start)
    fail(
      'size does not fit the shape',
      `${shown} is ${dtype} ${shownJson(shape)}, ${bytes} bytes, but has ${end - start}`,
    );
  return { name, dtype: dtype as Dtype, shape, start, end };
}
