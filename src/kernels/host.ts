/** Functions that the host provides: the imports of the module `host`, see engine/wasm/builds.ts. */

/** The host's clock in milliseconds; read while profiling, and when a thread falls asleep at a barrier. */
export declare function now(): f64;
