/** topK → top-k. */
export const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** The flag of an option: `--n-layer` of nLayer. */
export const flagOf = (name: string): string => `--${kebab(name)}`;
