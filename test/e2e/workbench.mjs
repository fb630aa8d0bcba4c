// npm run workbench: VS Code in a browser with the extension installed, on a copy of the demo folder or on a folder
// that is named. Listens on this machine only and asks for the token in the address it prints. Ctrl+C ends it.
import { randomBytes } from "node:crypto";
import { cpSync, existsSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { bootstrap } from "../../scripts/bootstrap.mjs";
import { repoRoot } from "./places.mjs";

const [named, ...more] = process.argv.slice(2);
if (named?.startsWith("-") || more.length > 0) {
  console.error("usage: npm run workbench [-- FOLDER]");
  process.exit(1);
}
bootstrap();
await import("./setup-workbench.mjs");
// These need the packages that the bootstrap installed.
const { packExtension } = await import("./extension-package.mjs");
const { startServer } = await import("./vscode-server.mjs");

const keep = join(repoRoot, ".cache/workbench");
mkdirSync(join(repoRoot, "out/e2e"), { recursive: true });
const demo = join(keep, "demo");
// What is there already may hold somebody's edits.
if (!named) cpSync(join(repoRoot, "demo"), demo, { recursive: true, force: false });
const folder = named ? resolve(process.env.INIT_CWD ?? ".", named) : demo;
const server = await startServer({
  vsix: packExtension(),
  workspace: folder,
  inPlace: true,
  keep,
  asksForTrust: named !== undefined,
  token: randomBytes(18).toString("base64url"),
});
const first = join(folder, "prompts/einstein.txt");
const payload = existsSync(first) ? [["openFile", server.remote(first)]] : [];
console.log(`\nOpen this address in a browser on this machine; Ctrl+C ends the workbench.\n`);
console.log(`  ${server.url(payload)}\n`);
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => void server.stop().then(() => process.exit(0)));
}
