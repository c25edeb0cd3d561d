/** Files of packages are served with the page, see fs.ts. */
export const createRequire = () => ({
  resolve: (path: string): string => new URL(path.split('/').at(-1)!, self.location.href).href,
});
