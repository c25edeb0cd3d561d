import { defineConfig, type OxlintOverride } from 'oxlint';

/**
 * The folders of src/ in layers, the lowest first. A file imports from its own folder, from the files directly in src/, and
 * from the layers below; folders of one layer do not know each other. The files directly in src/ import no folder at all.
 */
export const LAYERS: readonly (readonly string[])[] = [
  ['engine', 'tokenizer', 'collective'],
  ['autodiff', 'chat'],
  ['model', 'data'],
  ['generate', 'checkpoint'],
  ['card'],
  ['train'],
  ['evaluate', 'inspect', 'measure', 'forecast', 'export'],
  ['report'],
  ['cli', 'library'],
  ['web'],
];

const FOLDERS = LAYERS.flat();

/** Forbids files to import from folders of src/. */
const forbid = (files: string, folders: readonly string[], message: string): OxlintOverride => ({
  files: [files],
  rules: {
    'no-restricted-imports': [
      'error',
      { patterns: [{ group: folders.map((folder) => `**/${folder}/**`), message }] },
    ],
  },
});

export default defineConfig({
  plugins: ['typescript', 'unicorn', 'import', 'oxc'],
  categories: { correctness: 'error', suspicious: 'error' },
  rules: {
    'no-await-in-loop': 'off',
    'typescript/no-unsafe-type-assertion': 'off',
    'import/no-cycle': ['error', { ignoreTypes: false }],
    'unicorn/consistent-function-scoping': 'off',
    'unicorn/require-post-message-target-origin': 'off',
    'typescript/no-extraneous-class': 'off',
    'import/no-unassigned-import': 'off',
    'unicorn/no-array-sort': 'off',
    'unicorn/no-array-reverse': 'off',
    'no-console': 'error',
    'typescript/no-explicit-any': 'error',
    'typescript/no-floating-promises': 'error',
    'typescript/switch-exhaustiveness-check': 'error',
  },
  overrides: [
    { files: ['examples/**'], rules: { 'no-console': 'off' } },
    {
      files: ['src/**'],
      rules: {
        'max-lines-per-function': ['error', { max: 60, skipBlankLines: true, skipComments: true }],
      },
    },
    forbid('src/*.ts', FOLDERS, 'A file directly in src/ imports from none of its folders.'),
    { files: ['src/index.ts'], rules: { 'no-restricted-imports': 'off' } }, // the package's exports
    {
      files: ['src/kernels/**'],
      rules: {
        // AssemblyScript compiles a function anew for each type argument, and memory.data takes literals only.
        'typescript/no-unnecessary-type-parameters': 'off',
        'oxc/approx-constant': 'off',
        // More only below a comment with the measured cost of fewer, see test/engine/kernel-sources.test.ts.
        'max-params': ['error', { max: 6 }],
      },
    },
    forbid('src/kernels/**', FOLDERS, 'Kernels are AssemblyScript: they import nothing that runs in Node.'),
    ...LAYERS.flatMap((layer, depth) =>
      layer.map((folder) => {
        const known = [folder, ...LAYERS.slice(0, depth).flat()];
        const unknown = FOLDERS.filter((other) => !known.includes(other));
        return forbid(`src/${folder}/**`, unknown, `src/${folder} is in a lower layer, or in the same one.`);
      }),
    ),
  ],
  ignorePatterns: ['dist', 'src/kernels/generated', 'node_modules', '.venv', '.venv-mpi', '.cache'],
});
