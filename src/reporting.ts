/** How long computations report progress to whatever displays it. */

/**
 * Called many times a second, so it must be cheap and return at once.
 *
 * @param activity for example 'tokenizing'
 * @param done share done, 0 … 1; undefined if the total is unknown
 */
export type Report = (activity: string, done?: number) => void;

export const noReport: Report = () => {};
