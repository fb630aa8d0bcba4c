// Makes the .vsix for this platform: `node scripts/package-extension.mjs [FILE]`. It packs what a list names, so nothing else of the
// repository can slip in; ONNX Runtime comes along with the binaries of this platform only.
import { createVSIX } from "@vscode/vsce";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const packages = join(root, "node_modules");
const stage = join(root, "out/package");
const target = `${process.platform}-${process.arch}`;
const { name, version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const output = resolve(process.argv[2] ?? join(root, `${name}-${target}-${version}.vsix`));

const required = [
  "dist/client.cjs",
  "dist/main.js",
  "dist/reader.js",
  "dist/cli.js",
  "dist/webviews/text.js",
  "dist/webviews/text.css",
  "dist/webviews/train.js",
  "dist/webviews/train.css",
  "dist/webviews/codicon.css",
  "dist/webviews/codicon.ttf",
  "demo",
  "media",
  "schemas",
];
const documents = ["README.md", "CHANGELOG.md", "LICENSE", "NOTICE"];

rmSync(stage, { recursive: true, force: true });
for (const path of required) {
  if (!existsSync(join(root, path))) {
    console.error(`${path} is missing: run \`npm run build\` first`);
    process.exit(1);
  }
  copy(join(root, path), join(stage, path));
}
for (const path of documents.filter((it) => existsSync(join(root, it)))) {
  copy(join(root, path), join(stage, path));
}
copyOnnxRuntime();
writeManifest();
// vsce asks for one; the list above is stricter.
writeFileSync(join(stage, ".vscodeignore"), "");
await createVSIX({
  cwd: stage,
  packagePath: output,
  target,
  dependencies: false,
  // Without a repository address the links of the README cannot be made absolute; they stay as they are.
  rewriteRelativeLinks: false,
  allowMissingRepository: true,
  skipLicense: true,
});
rmSync(stage, { recursive: true });
console.log(output);

/** Beside the bundles, where Node finds it; scripts, types and other platforms' binaries are left out. */
function copyOnnxRuntime() {
  const binaries = `onnxruntime-node/bin/napi-v6/${process.platform}/${process.arch}`;
  if (!existsSync(join(packages, binaries))) {
    console.error(`onnxruntime-node has no binaries for ${target}`);
    process.exit(1);
  }
  const parts = ["onnxruntime-node/package.json", "onnxruntime-node/dist", binaries];
  parts.push("onnxruntime-common/package.json", "onnxruntime-common/dist/cjs");
  for (const path of parts) copy(join(packages, path), join(stage, "dist/node_modules", path));
}

/** The manifest without what only a checkout needs. */
function writeManifest() {
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  for (const key of ["private", "scripts", "devDependencies", "dependencies"]) delete manifest[key];
  writeFileSync(join(stage, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
}

function copy(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to, { recursive: true, filter: (path) => !/\.(map|d\.ts)$/.test(path) });
}
