/**
 * All ops, one import for those who build graphs.
 */
export * from "./elementwise.ts";
export * from "./indexing.ts";
export * from "./linear.ts";
export * from "./normalise.ts";
export * from "./reduce.ts";
export * from "./rotary.ts";
export * from "./shape.ts";
export * from "./source.ts";
