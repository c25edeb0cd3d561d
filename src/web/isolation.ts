/**
 * A service worker for servers that do not send the headers that browsers require for threads: it adds them to the
 * responses that it passes on.
 */
/// <reference lib="webworker" />
declare const self: ServiceWorkerGlobalScope;

self.addEventListener('install', () => void self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('fetch', (event) => event.respondWith(isolated(event.request)));

async function isolated(request: Request): Promise<Response> {
  const response = await fetch(request);
  const { status, statusText, body } = response;
  if (status === 0) return response; // a redirection, which the browser follows
  const headers = new Headers(response.headers);
  headers.set('Cross-Origin-Opener-Policy', 'same-origin');
  headers.set('Cross-Origin-Embedder-Policy', 'require-corp');
  return new Response(body, { status, statusText, headers });
}
