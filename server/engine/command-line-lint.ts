/** The verb `lint`. */
import { UserError } from "../base/errors.ts";
import type { EngineVerbs } from "./command-line.ts";
import { lint, printLint } from "./verbs/lint.ts";

/** Adds the verb. */
export function addLint({ verb, withEngine, signal }: EngineVerbs): void {
  verb("lint", "hold the rules of latents.jsonc against files; exit code 1 if one is broken")
    .argument("[files...]", "files to read; default: those that the rules name")
    .option("--config <file>", "file with lm, saes and rules", "latents.jsonc")
    .action((files: string[], options) =>
      withEngine(options, async (engine) => {
        const result = await lint(engine, { config: options.config, files, signal });
        process.stdout.write(`${options.json ? JSON.stringify(result) : printLint(result)}\n`);
        const bad = result.places.filter(
          ({ severity }) => severity === "error" || severity === "warning",
        );
        if (bad.length > 0)
          throw new UserError(
            "rules-broken",
            `${bad.length} places break rules of ${options.config}`,
          );
      }),
    );
}
