export const fileURLToPath = (url: URL): string => url.pathname;

export const pathToFileURL = (path: string): URL => new URL(path, self.location.href);
