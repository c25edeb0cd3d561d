/** Elements of index.html. */

/** An element by its id. @throws Error if there is none of this kind, which is a bug in the page */
export function find(id: string): HTMLElement;
export function find<T extends HTMLElement>(id: string, kind: new () => T): T;
export function find(id: string, kind: new () => HTMLElement = HTMLElement): HTMLElement {
  const element = document.getElementById(id);
  if (element instanceof kind) return element;
  throw new Error(`there is no ${kind.name} ${id}`);
}

export const show = (id: string, isShown = true): void => void (find(id).hidden = !isShown);
export const say = (id: string, text: string): void => void (find(id).textContent = text);
