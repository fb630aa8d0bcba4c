// npm run bench -- NAME [--json]: builds, then runs one benchmark. Progress goes to stderr, the result to stdout.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { bootstrap, repoRoot } from "../scripts/bootstrap.mjs";

const names = readdirSync(join(repoRoot, "bench"))
  .map((file) => /^(\w+)-bench\.ts$/.exec(file)?.[1])
  .filter(Boolean);
const [name, ...options] = process.argv.slice(2);
if (!names.includes(name)) {
  console.error(`usage: npm run bench -- NAME [--json]; NAME: ${names.join(", ")}`);
  process.exit(1);
}
bootstrap();
const program = join(repoRoot, `dist/bench/${name}-bench.js`);
if (!existsSync(program)) {
  console.error(`${program} was not built: name bench/${name}-bench.ts in esbuild.mjs`);
  process.exit(2);
}
const { status } = spawnSync(process.execPath, ["--enable-source-maps", program, ...options], {
  stdio: "inherit",
});
process.exit(status ?? 1);
