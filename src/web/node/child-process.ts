const unavailable = (): never => {
  throw new Error('a page starts no processes');
};
export { unavailable as execFileSync, unavailable as spawnSync };
