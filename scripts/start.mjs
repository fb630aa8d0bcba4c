// npm start: installs, builds, prints the latents of a file through the language server, then opens the demo in
// VS Code. `npm start -- --once` stops after printing; `npm start -- --once FILE` prints any file.
import { spawnSync } from "node:child_process";
import { delimiter, join, resolve } from "node:path";
import { existsSync } from "node:fs";
import { bootstrap, repoRoot } from "./bootstrap.mjs";

const args = process.argv.slice(2);
const once = args.includes("--once");
const unknown = args.filter((it) => it.startsWith("-") && it !== "--once");
const [file = join(repoRoot, "demo/prompts/einstein.txt"), ...more] = args.filter(
  (it) => !it.startsWith("-"),
);
if (unknown.length > 0 || more.length > 0) {
  console.error("usage: npm start [-- [--once] [FILE]]");
  process.exit(1);
}

bootstrap();
const { status } = spawnSync(
  process.execPath,
  [join(repoRoot, "dist/dev/print-latents.js"), resolve(process.env.INIT_CWD ?? ".", file)],
  { stdio: "inherit" },
);
if (status !== 0 || once) process.exit(status ?? 1);

const demo = join(repoRoot, "demo");
const code = onPath("code");
console.log("");
if (code) {
  console.log("Opening the demo folder in VS Code with the extension …");
  spawnSync(code, [`--extensionDevelopmentPath=${repoRoot}`, demo], {
    stdio: "inherit",
    shell: process.platform === "win32",
  });
} else {
  console.log(
    "VS Code's `code` command is not on the path. With VS Code installed, open the demo by",
  );
  console.log(`  code --extensionDevelopmentPath=${repoRoot} ${demo}`);
}
console.log("Without VS Code: `npm run workbench` opens the same workbench in a browser.");

/** Full path of a command; undefined when no folder of PATH holds it. */
function onPath(command) {
  const names = process.platform === "win32" ? [`${command}.cmd`, `${command}.exe`] : [command];
  return (process.env.PATH ?? "")
    .split(delimiter)
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .find(existsSync);
}
