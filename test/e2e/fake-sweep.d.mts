import type { AbsorptionSweep } from "../../server/protocol/absorption-sweep.ts";

/** For tests that are written in TypeScript. */
export function fakeSweep(options?: { hostile?: string }): AbsorptionSweep;
