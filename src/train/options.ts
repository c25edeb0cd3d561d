/**
 * Every option of a training run. A row of options/ is one option; types, flags with their help, config files, defaults, the
 * checks of a checkpoint's options, the rules of resuming and docs/options.md derive from this table.
 */
import type { ConfigField } from '../model/architecture.ts';
import {
  architectureFields,
  architectureOf,
  type ArchitectureFields,
} from '../model/architectures/registry.ts';
import { dataRows } from './options/data.ts';
import { evaluationRows } from './options/evaluation.ts';
import { loraRows } from './options/lora.ts';
import { modelRows } from './options/model.ts';
import { groups, orAbsent, type Row } from './options/row.ts';
import { trainingRows } from './options/training.ts';

/** In the order of the help. */
const rows = { ...modelRows, ...loraRows, ...dataRows, ...trainingRows, ...evaluationRows };

type Rows = typeof rows;
type TypeOf<R> = R extends Row<infer T> ? T : never;
type Values = { readonly [Name in keyof Rows]: TypeOf<Rows[Name]> };

/** The options of the table, as given: all optional. */
export type GivenOptions = Partial<Values & ArchitectureFields>;

/** The options of the table as stored in a checkpoint: given or chosen. */
export type ChosenOptions = Omit<Values, 'minutes' | 'base'> & Partial<ArchitectureFields>;

/** An untyped row: an option of the table or a field of an architecture. */
export type OptionRow = Row<unknown>;

/** A field of an architecture's config as an option. */
const fieldRow = (field: ConfigField): OptionRow => ({
  group: 'Model',
  ...field,
  onResume: 'fixed',
  stored: field.default === undefined ? orAbsent(field.value) : field.value,
});

let built: { readonly fields: object; readonly table: ReadonlyMap<string, OptionRow> } | undefined;

/**
 * All rows by name; the fields of the architectures come last in their group. The table is built once, and again when an
 * architecture is registered.
 */
export function optionTable(): ReadonlyMap<string, OptionRow> {
  const fields = architectureFields();
  if (built?.fields !== fields) built = { fields, table: buildTable(fields) };
  return built.table;
}

function buildTable(fields: Readonly<Record<string, ConfigField>>): ReadonlyMap<string, OptionRow> {
  const ofArchitectures = Object.entries(fields).map(([name, field]) => [name, fieldRow(field)] as const);
  const entries = [...(Object.entries(rows) as [string, OptionRow][]), ...ofArchitectures];
  return new Map(groups.flatMap((group) => entries.filter(([, each]) => each.group === group)));
}

/** The rows that apply to models of an architecture. */
export function optionsOf(arch: string): ReadonlyMap<string, OptionRow> {
  const { fields } = architectureOf({ arch });
  const others = new Set(Object.keys(architectureFields()).filter((name) => !Object.hasOwn(fields, name)));
  return new Map([...optionTable()].filter(([name]) => !others.has(name)));
}
