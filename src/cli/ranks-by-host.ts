/** A host with the number of ranks on it. */
export interface HostRanks {
  readonly name: string;
  readonly ranks: number;
}

/** @param hosts of all ranks */
export const ranksByHost = (hosts: readonly string[]): HostRanks[] =>
  Array.from(
    Map.groupBy(hosts, (host) => host),
    ([name, { length }]) => ({ name, ranks: length }),
  );
