/** Threads share memory, which browsers allow only to pages that are isolated from others by two headers. */

/** @returns why this page cannot be isolated; undefined if it is. Reloads the page if it will be. */
export async function isolate(): Promise<string | undefined> {
  if (crossOriginIsolated) return undefined;
  const needs = 'Training needs threads, for which this page must be served';
  if (!isSecureContext || !('serviceWorker' in navigator))
    return `${needs} by https or from localhost, to a browser that has service workers.`;
  const tried = 'isolation was tried';
  if (sessionStorage.getItem(tried) !== null)
    return `${needs} with the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp.`;
  sessionStorage.setItem(tried, 'yes');
  await navigator.serviceWorker.register('isolation.js');
  await navigator.serviceWorker.ready;
  location.reload();
  return new Promise(() => {}); // nothing else happens before that
}
