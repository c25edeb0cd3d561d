import { expect, test } from 'vitest';
import { gpt2 } from '../../src/model/architectures/gpt2.ts';
import { register } from '../../src/model/architectures/registry.ts';
import { optionTable } from '../../src/train/options.ts';

test('the table is built once, and has the fields of an architecture that is registered later', () => {
  const table = optionTable();
  expect(optionTable()).toBe(table);
  expect(table.has('nNewField')).toBe(false);
  const { activation } = gpt2.fields;
  register({ ...gpt2, name: 'later', fields: { ...gpt2.fields, nNewField: activation } });
  expect([...optionTable().keys()]).toEqual(expect.arrayContaining([...table.keys(), 'nNewField']));
  expect(optionTable()).toBe(optionTable());
});

test.each(['inverse-sqrt', 'inverse_sqrt', 'noam'])('the schedule %s is inverse-sqrt', (name) => {
  expect(optionTable().get('schedule')?.value.read(name)).toBe('inverse-sqrt');
});
