/** Threads share memory, which browsers allow only to pages that are isolated from others by two headers. */

/** Key of the session storage: the page has been reloaded for isolation. */
const TRIED = 'isolation was tried';

/** @returns why this page cannot be isolated; undefined if it is. Reloads the page if it will be. */
export async function isolate(): Promise<string | undefined> {
  if (crossOriginIsolated) {
    sessionStorage.removeItem(TRIED);
    return undefined;
  }
  const needs = 'Training needs threads, for which this page must be served';
  if (!isSecureContext || !('serviceWorker' in navigator))
    return `${needs} by https or from localhost, to a browser that has service workers.`;
  if (sessionStorage.getItem(TRIED) !== null)
    return `${needs} with the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp.`;
  sessionStorage.setItem(TRIED, 'yes');
  try {
    await navigator.serviceWorker.register('isolation.js');
    await navigator.serviceWorker.ready;
  } catch (error) {
    return `${needs} with two headers, which a service worker could not add here: ${String(error)}`;
  }
  location.reload();
  return new Promise(() => {}); // never resolves: the page is about to reload
}
