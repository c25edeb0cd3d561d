/** Functions that the host provides: the imports of the module `host`, see engine/wasm/builds.ts. */

/** The host's clock in milliseconds; read while profiling, and when a thread falls asleep at a barrier. */
export declare function now(): f64;

/** Runs the macro-kernel in machine code on the argument block of a thread; see engine/native/. */
export declare function multiplyPanels(poolIndex: i32): void;

/** Lets a BLAS library compute the product in the argument block of a thread; see engine/native/blas.ts. */
export declare function multiplyByBlas(poolIndex: i32): void;
