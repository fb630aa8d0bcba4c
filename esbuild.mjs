// Bundles the four programs and the pages into dist/. `--watch` rebuilds on change.
import { build, context } from "esbuild";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";

const watch = process.argv.includes("--watch");
const node = { bundle: true, platform: "node", target: "node20", sourcemap: true, metafile: true };
// CommonJS dependencies bundled into an ES module still call require().
const banner = {
  js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
};

const bundles = [
  {
    ...node,
    entryPoints: { client: "client/extension.ts" },
    format: "cjs",
    outExtension: { ".js": ".cjs" },
    external: ["vscode"],
  },
  {
    ...node,
    entryPoints: { main: "server/main.ts", reader: "server/reader.ts", cli: "server/cli.ts" },
    format: "esm",
    banner,
    external: ["onnxruntime-node"],
  },
  {
    bundle: true,
    platform: "browser",
    target: "es2022",
    format: "iife",
    jsx: "automatic",
    jsxImportSource: "preact",
    sourcemap: true,
    metafile: true,
    entryPoints: { "webviews/text": "webviews/text/main.tsx" },
    loader: { ".ttf": "file" },
  },
];

mkdirSync("dist", { recursive: true });
for (const [index, options] of bundles.entries()) {
  const settings = { ...options, outdir: "dist", logLevel: "warning" };
  if (watch) {
    await (await context(settings)).watch();
  } else {
    const result = await build(settings);
    writeFileSync(`dist/meta-${index}.json`, JSON.stringify(result.metafile));
  }
}
cpSync("node_modules/@vscode/codicons/dist/codicon.css", "dist/webviews/codicon.css");
cpSync("node_modules/@vscode/codicons/dist/codicon.ttf", "dist/webviews/codicon.ttf");
