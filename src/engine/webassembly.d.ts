/** The few WebAssembly interfaces the engine uses. TypeScript has them only in its browser library. */
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array);
  }
  class Memory {
    constructor(descriptor: { initial: number; maximum: number; shared: true });
    readonly buffer: SharedArrayBuffer;
    /** Adds pages of 64 KiB; returns how many there were. */
    grow(pages: number): number;
  }
  class Instance {
    constructor(
      module: Module,
      imports: {
        env: { memory: Memory };
        host: {
          now: () => number;
          multiplyPanels: (thread: number) => void;
          multiplyByBlas: (poolIndex: number) => void;
        };
      },
    );
    readonly exports: Record<string, unknown>;
  }
}
