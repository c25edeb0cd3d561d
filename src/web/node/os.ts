export const availableParallelism = (): number => navigator.hardwareConcurrency;
export const hostname = (): string => 'browser';
/** A page cannot know it; the engine asks for memory and reports if there is none. */
export const totalmem = (): number => Infinity;
