// Steps of a run: each passes or fails by itself, with its time; the last line counts them.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { outFolder } from "./places.mjs";

/** A report named `name`. `onFail` may leave evidence, such as a screenshot. */
export function newReport(name, onFail = async () => {}) {
  mkdirSync(outFolder, { recursive: true });
  const started = performance.now();
  let passed = 0;
  let failed = 0;
  const seconds = () => ((performance.now() - started) / 1000).toFixed(1).padStart(5);
  return {
    note: (text) => console.log(`${seconds()} s       ${text}`),
    step: async (title, body) => {
      try {
        await body();
        passed++;
        console.log(`${seconds()} s  ok   ${title}`);
      } catch (error) {
        failed++;
        console.log(`${seconds()} s  FAIL ${title}: ${error.stack ?? error}`);
        await onFail(join(outFolder, `failed-${title.replace(/\W+/g, "-")}.png`)).catch(() => {});
      }
    },
    end: () => {
      console.log(`${name}: ${passed} passed, ${failed} failed`);
      return failed === 0 && passed > 0 ? 0 : 1;
    },
  };
}
