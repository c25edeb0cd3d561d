/**
 * Writes docs/options.md, the reference of all training options, from the table in src/train/options/. A test fails while
 * the page is out of date.
 *
 *     npm run build && node scripts/options-page.js
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { kebab } from '../dist/flag-name.js';
import { groups } from '../dist/train/options/row.js';
import { optionTable } from '../dist/train/options.js';

const path = fileURLToPath(new URL('../docs/options.md', import.meta.url));

const INTRODUCTION = `# Training options

All options stored with a run: their names in the library and their flags in \`gpt train\` and \`gpt plan\`. Config files
accept both. [training.md](training.md) explains how they work together.

On \`--resume\`, **fixed** options keep their value, **forced** ones change only with \`--force\`, and **free** ones may
change. \`minutes\` applies to one invocation and is not stored. Without preset and number of steps, \`gpt train\` chooses
model, batch size and learning rate for the text and the time ([recipe.md](recipe.md)).

<!-- Written by scripts/options-page.js from src/train/options/. -->
`;

/** The most names that a cell lists. */
const MAX_NAMES = 20;

/** The up-to-date page. */
export async function optionsPage() {
  const sections = groups.map((group) => {
    const rows = [...optionTable()].filter(([, row]) => row.group === group).map(tableRow);
    const head = ['option', 'flag', 'description', 'value', 'default', 'on resume'];
    return `## ${group}\n\n${[head, head.map(() => '-'), ...rows].map((cells) => `| ${cells.map((cell) => cell.replaceAll(/[|<]/g, '\\$&')).join(' | ')} |`).join('\n')}\n`;
  });
  const options = await resolveConfig(path);
  return format([INTRODUCTION, ...sections].join('\n'), { ...options, parser: 'markdown' });
}

function tableRow([name, row]) {
  const { value, help, onResume, hasFlag, defaultHelp, default: usual, flagDefault } = row;
  // Long lists are left to the help; that of encodings depends on the Node that runs this.
  const names =
    value.expected.startsWith('one of ') && value.completes.length <= MAX_NAMES ? value.completes : undefined;
  const words = names?.map((word) => `\`${word}\``).join(', ');
  return [
    `\`${name}\``,
    hasFlag === false ? '' : `\`--${kebab(name)}\``,
    names !== undefined && listsOnly(help, names) ? '' : help,
    words ?? value.expected,
    defaultHelp ?? constantDefault(usual, flagDefault),
    onResume,
  ];
}

/** True if a description is only the list of values, which the next cell shows. */
const listsOnly = (help, names) =>
  help.split(/[\s,]+/u).every((word) => word === 'or' || names.includes(word));

/** Empty for a default that is computed. */
function constantDefault(usual, flagDefault) {
  if (typeof usual === 'function' || usual === undefined) return '';
  return flagDefault === undefined ? String(usual) : `${flagDefault}; ${usual} in the library`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(path, await optionsPage());
