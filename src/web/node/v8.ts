/** A page cannot set V8's switches. */
export const setFlagsFromString = (): void => {};
