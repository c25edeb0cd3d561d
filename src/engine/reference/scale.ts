import { put, type ReferenceArguments } from './view.ts';

/** y (+)= factor·x. */
export function scale({ x, y, n, factor }: ReferenceArguments<'scale'>): void {
  for (let i = 0; i < n; i++) put(y, i, factor * x[i]);
}
