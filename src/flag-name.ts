/** topK → top-k. */
export const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** nLayer → `--n-layer`. */
export const flagOf = (name: string): string => `--${kebab(name)}`;
