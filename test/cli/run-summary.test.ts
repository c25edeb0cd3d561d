import { expect, test } from 'vitest';
import { formatEpochs } from '../../src/cli/run-summary.ts';

test.each([
  [0.00001234, '0.0012% of an epoch'],
  [0.0042, '0.42% of an epoch'],
  [0.094, '9.4% of an epoch'],
  [0.0949999, '9.5% of an epoch'],
  [0.1, '0.1 epochs'],
  [9.94, '9.9 epochs'],
  [9.96, '10 epochs'],
  [123.4, '123 epochs'],
  [9486, '9,486 epochs'],
])('%d passes over the text: %s', (epochs, text) => {
  expect(formatEpochs(epochs)).toBe(text);
});
