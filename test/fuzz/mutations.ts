/** Damage of all kinds, as data: fast-check draws it, shrinks it and can draw it again. */
import { array, constant, constantFrom, nat, oneof, record, uint8Array, type Arbitrary } from 'fast-check';

/** Numbers that readers get wrong. */
const numbers = [
  0,
  -1,
  1,
  2,
  3,
  7,
  0.5,
  1e-9,
  255,
  256,
  65_536,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  1e10,
  1e308,
  -1e308,
];

/** Values in the place of others. Plain text of JSON: some of them no value of JavaScript can stand for. */
const literals = [
  ...numbers.map(String),
  'null',
  'true',
  '""',
  '"x"',
  '"\\u0000"',
  '"\\ud800"',
  '"../../../../etc/passwd"',
  '"\\u001b]0;owned\\u0007"',
  `"${'long '.repeat(40)}"`,
  '[]',
  '[0,0]',
  '[[]]',
  '{}',
  '{"a":{}}',
  '{"__proto__":{"n_layer":1}}',
  '['.repeat(99) + ']'.repeat(99),
  '['.repeat(5000),
  '1e999',
  '-0',
  '99999999999999999999999',
];

const keys = ['__proto__', 'constructor', 'toString', '', 'x', '__metadata__', '\u001b[2J', 'wte.weight'];

/** A change of bytes. Places are fractions of the file, in 2⁻³², so that one change fits files of all sizes. */
export type ByteMutation =
  | { readonly kind: 'flip'; readonly at: number; readonly bit: number }
  | { readonly kind: 'set'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'number'; readonly at: number; readonly value: number; readonly width: number }
  | { readonly kind: 'insert'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'remove'; readonly at: number; readonly length: number }
  | { readonly kind: 'copy'; readonly from: number; readonly to: number; readonly length: number }
  | { readonly kind: 'splice'; readonly from: number; readonly at: number; readonly length: number }
  | { readonly kind: 'cut'; readonly at: number };

/** A change of a JSON text at the n-th of its values. */
export type JsonMutation =
  | { readonly kind: 'replace'; readonly n: number; readonly literal: string }
  | { readonly kind: 'drop'; readonly n: number }
  | { readonly kind: 'rename'; readonly n: number; readonly key: string }
  | { readonly kind: 'twice'; readonly n: number }
  | { readonly kind: 'exchange'; readonly n: number; readonly m: number }
  | { readonly kind: 'scale'; readonly n: number; readonly by: number };

const place = nat(2 ** 32 - 1);
const few = uint8Array({ minLength: 1, maxLength: 12 });
const short = nat(200);

const byteMutation: Arbitrary<ByteMutation> = oneof(
  { weight: 3, arbitrary: record({ kind: constant('flip'), at: place, bit: nat(7) }) },
  record({ kind: constant('set'), at: place, bytes: few }),
  record({
    kind: constant('number'),
    at: place,
    value: constantFrom(...numbers),
    width: constantFrom(2, 4, 8),
  }),
  record({ kind: constant('insert'), at: place, bytes: few }),
  record({ kind: constant('remove'), at: place, length: short }),
  record({ kind: constant('copy'), from: place, to: place, length: short }),
  record({ kind: constant('splice'), from: place, at: place, length: short }),
  record({ kind: constant('cut'), at: place }),
);

const jsonMutation: Arbitrary<JsonMutation> = oneof(
  {
    weight: 3,
    arbitrary: record({ kind: constant('replace'), n: place, literal: constantFrom(...literals) }),
  },
  record({ kind: constant('drop'), n: place }),
  record({ kind: constant('rename'), n: place, key: constantFrom(...keys) }),
  record({ kind: constant('twice'), n: place }),
  record({ kind: constant('exchange'), n: place, m: place }),
  record({ kind: constant('scale'), n: place, by: constantFrom(-1, 0, 0.5, 2, 3, 1e9) }),
);

/** What is done to one file: to the JSON in it, if it holds any, then to its bytes. */
export interface Damage {
  readonly json: readonly JsonMutation[];
  readonly bytes: readonly ByteMutation[];
}

export const damage: Arbitrary<Damage> = record({
  json: array(jsonMutation, { maxLength: 3 }),
  bytes: oneof({ weight: 2, arbitrary: constant([]) }, array(byteMutation, { minLength: 1, maxLength: 3 })),
}).filter(({ json, bytes }) => json.length + bytes.length > 0);

/** @param other a file to take pieces from */
export function damageBytes(file: Buffer, mutations: readonly ByteMutation[], other: Buffer): Buffer {
  return mutations.reduce<Buffer>((bytes, mutation) => damageOnce(bytes, mutation, other), file);
}

function damageOnce(file: Buffer, mutation: ByteMutation, other: Buffer): Buffer {
  const bytes = Buffer.from(file);
  const indexOf = (fraction: number, length = bytes.length): number =>
    Math.floor((fraction / 2 ** 32) * length);
  const put = (piece: Uint8Array, at: number): Buffer => {
    bytes.set(piece.subarray(0, bytes.length - at), at);
    return bytes;
  };
  if (bytes.length === 0) return bytes;
  switch (mutation.kind) {
    case 'flip':
      bytes[indexOf(mutation.at)] ^= 1 << mutation.bit;
      return bytes;
    case 'set':
      return put(mutation.bytes, indexOf(mutation.at));
    case 'number': {
      const piece = Buffer.alloc(8);
      piece.writeBigUInt64LE(BigInt.asUintN(64, BigInt(Math.trunc(mutation.value))));
      // Numbers of a binary header stand at multiples of their width.
      const at =
        Math.floor(indexOf(mutation.at, Math.min(bytes.length, 64)) / mutation.width) * mutation.width;
      return put(piece.subarray(0, mutation.width), at);
    }
    case 'insert': {
      const at = indexOf(mutation.at);
      return Buffer.concat([bytes.subarray(0, at), mutation.bytes, bytes.subarray(at)]);
    }
    case 'remove': {
      const at = indexOf(mutation.at);
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + mutation.length)]);
    }
    case 'copy': {
      const from = indexOf(mutation.from);
      return put(Buffer.from(bytes.subarray(from, from + mutation.length)), indexOf(mutation.to));
    }
    case 'splice': {
      const from = indexOf(mutation.from, other.length);
      return put(other.subarray(from, from + mutation.length), indexOf(mutation.at));
    }
    case 'cut':
      return bytes.subarray(0, indexOf(mutation.at));
    default:
      return mutation satisfies never;
  }
}

/** A value of a JSON text: where it stands, and the name before it, quotes and colon included, if it has one. */
interface Place {
  readonly start: number;
  readonly end: number;
  readonly keyStart: number | undefined;
}

/** @param text valid JSON; what comes out need not be */
export function damageJson(text: string, mutations: readonly JsonMutation[]): string {
  let damaged = text;
  for (const mutation of mutations) {
    const places = placesIn(damaged);
    if (places.length === 0) return damaged;
    damaged = damageJsonOnce(damaged, places, mutation);
  }
  return damaged;
}

function damageJsonOnce(text: string, places: readonly Place[], mutation: JsonMutation): string {
  const pick = (fraction: number): Place => places[Math.floor((fraction / 2 ** 32) * places.length)];
  const one = pick(mutation.n);
  const value = text.slice(one.start, one.end);
  const replace = (start: number, end: number, by: string): string =>
    text.slice(0, start) + by + text.slice(end);
  switch (mutation.kind) {
    case 'replace':
      return replace(one.start, one.end, mutation.literal);
    case 'drop': {
      // With the comma before or behind it.
      const start = one.keyStart ?? one.start;
      if (/^\s*,/.test(text.slice(one.end)))
        return replace(start, one.end + text.slice(one.end).indexOf(',') + 1, '');
      const comma = /,\s*$/.exec(text.slice(0, start));
      return replace(comma?.index ?? start, one.end, '');
    }
    case 'rename':
      return one.keyStart === undefined
        ? text
        : replace(one.keyStart, one.start, `${JSON.stringify(mutation.key)}:`);
    case 'twice': {
      const start = one.keyStart ?? one.start;
      return replace(start, start, `${text.slice(start, one.end)},`);
    }
    case 'exchange': {
      const other = pick(mutation.m);
      const [a, b] = one.start < other.start ? [one, other] : [other, one];
      if (a.end > b.start) return text; // one within the other
      const middle = text.slice(a.end, b.start);
      return replace(a.start, b.end, text.slice(b.start, b.end) + middle + text.slice(a.start, a.end));
    }
    case 'scale':
      return /^-?\d/.test(value) ? replace(one.start, one.end, String(Number(value) * mutation.by)) : text;
    default:
      return mutation satisfies never;
  }
}

/** All values but the outermost, by a walk over tokens; as far as the text is JSON. */
function placesIn(text: string): Place[] {
  const places: Place[] = [];
  const open: { start: number; keyStart: number | undefined }[] = [];
  let keyStart: number | undefined;
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],]|[^\s"{}[\],:]+/g)) {
    const end = index + token.length;
    if (token === ',') keyStart = undefined;
    else if (token === '{' || token === '[') {
      open.push({ start: index, keyStart });
      keyStart = undefined;
    } else if (token === '}' || token === ']') {
      const opened = open.pop();
      if (opened !== undefined && open.length > 0) places.push({ ...opened, end });
      keyStart = undefined;
    } else if (token.startsWith('"') && /^\s*:/.test(text.slice(end, end + 20))) keyStart = index;
    else {
      places.push({ start: index, end, keyStart });
      keyStart = undefined;
    }
  }
  return places;
}
