import { fileURLToPath } from 'node:url';

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
const pooledBackend = path('fixtures/pooled-backend.ts');

/** A plugin of vitest that gives every module that starts engines those of fixtures/pooled-backend.ts. */
export const pooledEngines = {
  name: 'pooled-engines',
  enforce: 'pre' as const,
  resolveId: (source: string, importer?: string) =>
    source.endsWith('/backend.ts') &&
    importer !== undefined &&
    importer !== pooledBackend &&
    fileURLToPath(new URL(source, `file://${importer}`)) === path('../src/engine/backend.ts')
      ? pooledBackend
      : undefined,
};
