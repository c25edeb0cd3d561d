export const fileURLToPath = (url: URL): string => url.pathname;
