// The pages of the extension, by one rule for the build and the package.
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = join(dirname(fileURLToPath(import.meta.url)), "../webviews");

/** Every folder of webviews/ with a main file is a page with a script and a style sheet; others hold what pages share. */
export const pageNames = readdirSync(folder).filter((name) =>
  existsSync(join(folder, name, "main.tsx")),
);
