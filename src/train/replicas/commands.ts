/** Commands from rank 0 to the other replicas; see Replica. */
export type ReplicaCommand =
  | {
      readonly type: 'inner step';
      readonly step: number;
      /** Index in the step of the replica's first micro-batch. */
      readonly first: number;
    }
  | {
      readonly type: 'inner update';
      readonly updates: number;
      readonly learningRate: number;
      readonly matrixLearningRate: number;
    }
  | { readonly type: 'synchronize' | 'take mean' | 'broadcast parameters' | 'start alike' }
  /** @param haveDiverged since the last synchronization */
  | { readonly type: 'restore' | 'gather'; readonly haveDiverged: boolean };
