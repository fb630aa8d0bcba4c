// Bundles the programs and the pages into dist/. `--watch` rebuilds on change.
// dist/meta-NAME.json says what went into each bundle; test/project/bundles.test.ts reads them.
import { build, context } from "esbuild";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { pageNames } from "./scripts/pages.mjs";

const watch = process.argv.includes("--watch");
const node = {
  bundle: true,
  platform: "node",
  target: "node20",
  sourcemap: true,
  format: "esm",
  // jsonc-parser's main file loads its parts in a way that no bundler sees.
  mainFields: ["module", "main"],
  // CommonJS dependencies bundled into an ES module still call require().
  banner: {
    js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
  },
  external: ["onnxruntime-node"],
};

const bundles = {
  client: {
    ...node,
    entryPoints: { client: "client/extension.ts" },
    format: "cjs",
    banner: {},
    outExtension: { ".js": ".cjs" },
    external: ["vscode"],
  },
  server: {
    ...node,
    entryPoints: { main: "server/main.ts", reader: "server/reader.ts", cli: "server/cli.ts" },
  },
  pages: {
    bundle: true,
    platform: "browser",
    target: "es2022",
    format: "iife",
    jsx: "automatic",
    jsxImportSource: "preact",
    sourcemap: true,
    entryPoints: Object.fromEntries(
      pageNames.map((name) => [`webviews/${name}`, `webviews/${name}/main.tsx`]),
    ),
    loader: { ".ttf": "file" },
  },
  // For people who work on the project; no part of the extension.
  tools: {
    ...node,
    entryPoints: {
      "dev/print-latents": "scripts/print-latents.ts",
      "dev/demo-build": "scripts/demo-build.ts",
      "bench/hover-bench": "bench/hover-bench.ts",
      "bench/harvest-bench": "bench/harvest-bench.ts",
      "bench/harvest-ours": "bench/harvest-ours.ts",
      "bench/meanwhile-bench": "bench/meanwhile-bench.ts",
      "bench/load-bench": "bench/load-bench.ts",
      "bench/absorption-bench": "bench/absorption-bench.ts",
      "bench/train-bench": "bench/train-bench.ts",
      "bench/train-ours": "bench/train-ours.ts",
    },
  },
};

mkdirSync("dist", { recursive: true });
for (const [name, options] of Object.entries(bundles)) {
  const settings = { ...options, outdir: "dist", logLevel: "warning", metafile: true };
  if (watch) {
    await (await context(settings)).watch();
  } else {
    const result = await build(settings);
    writeFileSync(`dist/meta-${name}.json`, JSON.stringify(result.metafile));
  }
}
cpSync("node_modules/@vscode/codicons/dist/codicon.css", "dist/webviews/codicon.css");
cpSync("node_modules/@vscode/codicons/dist/codicon.ttf", "dist/webviews/codicon.ttf");
