/** Value types of training options, besides those of values.ts. */
import { number, wholeNumber } from '../../values.ts';

export const positive = wholeNumber({ min: 1 });
export const belowOne = number({ min: 0, below: 1 });
export const nonNegative = number({ min: 0 });
export const aboveZero = number({ above: 0 });
