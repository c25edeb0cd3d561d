/** The members of Node's `process` that the program uses, in a page. */
export const process = {
  pid: 1,
  platform: 'browser',
  arch: 'wasm32',
  env: {},
  execArgv: [],
  versions: { node: '0' },
  cwd: (): string => '/',
  constrainedMemory: (): number => 0,
  emitWarning: (): void => {},
  getBuiltinModule: (): undefined => undefined,
  kill: (): void => {},
};
