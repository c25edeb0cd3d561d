/**
 * The flags of Node for a worker thread; undefined for those of the process, the usual case. A worker refuses to start with
 * `--input-type`, as in `node --input-type=module --eval`; it then gets those of the permission model alone, without which it
 * would not be bound by it.
 */
export function workerFlags(flags: readonly string[] = process.execArgv): string[] | undefined {
  if (!flags.some((flag) => flag.startsWith('--input-type'))) return undefined;
  return flags.filter(
    (flag, i) => isOfPermissions(flag) || (!flag.startsWith('-') && isOfPermissions(flags[i - 1] ?? '')),
  );
}

const isOfPermissions = (flag: string): boolean => /^--(permission|allow-)/.test(flag);

/** The environment of a worker that needs none: a permission model may be set in NODE_OPTIONS. */
export const workerEnvironment = (): NodeJS.ProcessEnv => {
  const { NODE_OPTIONS } = process.env;
  return NODE_OPTIONS === undefined ? {} : { NODE_OPTIONS };
};
