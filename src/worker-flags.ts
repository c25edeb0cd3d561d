/**
 * Node's flags for a worker thread; undefined, the usual case, stands for those of the process. A worker refuses to start
 * with `--input-type`, as in `node --input-type=module --eval`; it then gets only the flags of the permission model, which
 * would otherwise not apply to it.
 */
export function workerFlags(flags: readonly string[] = process.execArgv): string[] | undefined {
  if (!flags.some((flag) => flag.startsWith('--input-type'))) return undefined;
  return flags.filter(
    (flag, i) => isOfPermissions(flag) || (!flag.startsWith('-') && isOfPermissions(flags[i - 1] ?? '')),
  );
}

const isOfPermissions = (flag: string): boolean => /^--(permission|allow-)/.test(flag);

/** The environment of a worker that needs none, except for NODE_OPTIONS, which may set a permission model. */
export const workerEnvironment = (): NodeJS.ProcessEnv => {
  const { NODE_OPTIONS } = process.env;
  return NODE_OPTIONS === undefined ? {} : { NODE_OPTIONS };
};
