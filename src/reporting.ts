/** How long work says how far it has come, to whoever shows that. */

/**
 * Called many times a second by the work itself, so it must cost next to nothing and return at once.
 *
 * @param activity what is being done: 'tokenizing'
 * @param done the share done, 0 … 1; undefined where the total is not known
 */
export type Report = (activity: string, done?: number) => void;

export const noReport: Report = () => {};
