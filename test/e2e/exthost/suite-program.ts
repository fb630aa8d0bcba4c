/**
 * What VS Code calls inside its extension host, in the browser's workbench and in Electron alike: runs the suite,
 * writes a line for each test to the file in E2E_SUITE_LOG, and throws if one failed.
 */
import { appendFileSync } from "node:fs";
import { tests } from "./suite.ts";

/** The entry point; rejects when a test failed. */
export async function run(): Promise<void> {
  let passed = 0;
  const failures: string[] = [];
  for (const [title, body] of Object.entries(tests)) {
    try {
      await withLimit(body(), 200_000);
      passed++;
      write(`ok   ${title}`);
    } catch (error) {
      failures.push(title);
      write(
        `FAIL ${title}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      );
    }
  }
  write(`extension host: ${passed} passed, ${failures.length} failed`);
  if (failures.length > 0) throw new Error(`failed: ${failures.join(", ")}`);
}

function write(line: string): void {
  const log = process.env["E2E_SUITE_LOG"];
  if (log === undefined) console.log(line);
  else appendFileSync(log, `${line}\n`);
}

function withLimit<T>(work: Promise<T>, milliseconds: number): Promise<T> {
  const late = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error(`not done after ${milliseconds} ms`)), milliseconds);
  });
  return Promise.race([work, late]);
}
