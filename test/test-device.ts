/**
 * The device on which the tests of numbers run: the CPU, or what LATENT_WORKBENCH_TEST_DEVICE names. The part "GPU" of
 * `npm test` runs them again on each GPU that the machine has, with the same tolerances.
 */
import type { DeviceName } from "../server/protocol/reader.ts";

/** The name of the device. */
export const testDeviceName: DeviceName = (process.env["LATENT_WORKBENCH_TEST_DEVICE"] ??
  "cpu") as DeviceName;
