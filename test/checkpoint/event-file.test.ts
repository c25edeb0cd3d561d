import { describe, expect, test } from 'vitest';
import { crc32c, scalarRecord, startRecord, versionRecord } from '../../src/checkpoint/event-file.ts';

// RFC 3720, appendix B.4; and the check value of CRC-32C's catalogue entry.
test.each([
  [Buffer.alloc(32), 0x8a9136aa],
  [Buffer.alloc(32, 0xff), 0x62a8ab43],
  [Buffer.from(Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e],
  [Buffer.from('123456789'), 0xe3069283],
  [Buffer.alloc(0), 0],
])('CRC-32C of %j', (data, expected) => expect(crc32c(data)).toBe(expected));

/** The bytes that Python's tensorboard 2.21.0 writes for the same events (EventFileWriter's RecordWriter). */
describe('a record has the bytes that TensorBoard writes', () => {
  const hex = (...parts: string[]): string => parts.join('').replaceAll(' ', '');

  test('for the version of a file', () => {
    expect(versionRecord(1.5).toString('hex')).toBe(hex(VERSION));
  });
  test('for the start of a session', () => {
    expect(startRecord(1.5, 300).toString('hex')).toBe(hex(START));
  });
  test('for scalars', () => {
    const scalars = [
      { tag: 'train/loss', value: 4.25 },
      { tag: 'train/grad_norm', value: NaN },
    ];
    expect(scalarRecord({ wallTime: 1.5, step: 2 ** 33 + 1, scalars }).toString('hex')).toBe(hex(SCALARS));
  });
});

const VERSION =
  '2700000000000000bbe1b14609000000000000f83f1a0d627261696e2e4576656e743a32520d0a0b6770742d747261696e65720118177d';
const START = '100000000000000095fbfe1809000000000000f83f10ac023a020801713b788a';
const SCALARS =
  '3c00000000000000c8b7a35209000000000000f83f1081808080202a2b0a110a0a747261696e2f6c6f737315000088400a160a0f747261696e2f677261645f6e6f726d150000c07ff2417fb9';
