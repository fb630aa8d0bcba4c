// Makes the .vsix files: `npm run package` one for each platform that ONNX Runtime has binaries for, in out/;
// `npm run package -- --target linux-x64 [--output FILE]` one, `--target here` for this machine. It packs what a list
// names, so nothing else of the repository can slip in; ONNX Runtime comes along with the binaries of one platform.
import { createVSIX } from "@vscode/vsce";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { pageNames } from "./pages.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const packages = join(root, "node_modules");
const stage = join(root, "out/package");
/** What a marketplace and its users' lines bear. */
const mostMegabytes = 40;
const { name, version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const { values: flags } = parseArgs({
  options: { target: { type: "string" }, output: { type: "string" } },
});
const binaries = "onnxruntime-node/bin/napi-v6";
const targets = readdirSync(join(packages, binaries)).flatMap((platform) =>
  readdirSync(join(packages, binaries, platform)).map((arch) => `${platform}-${arch}`),
);

const required = [
  "dist/client.cjs",
  "dist/main.js",
  "dist/reader.js",
  "dist/cli.js",
  ...pageNames.flatMap((name) => [`dist/webviews/${name}.js`, `dist/webviews/${name}.css`]),
  "dist/webviews/codicon.css",
  "dist/webviews/codicon.ttf",
  "demo",
  "media",
  "schemas",
];
const documents = ["README.md", "CHANGELOG.md", "LICENSE", "NOTICE"];

const here = `${process.platform}-${process.arch}`;
const asked = flags.target === "here" ? here : flags.target;
if (asked !== undefined && !targets.includes(asked))
  end(`onnxruntime-node has no binaries for ${asked}; it has ${targets.join(", ")}`);
for (const path of [...required, ...documents])
  if (!existsSync(join(root, path))) end(`${path} is missing: run \`npm run build\` first`);
for (const target of asked === undefined ? targets : [asked]) {
  const output = flags.output ?? join(root, `out/${name}-${target}-${version}.vsix`);
  const megabytes = await pack(target, resolve(output));
  console.log(`${output}: ${megabytes.toFixed(1)} MB`);
  if (megabytes > mostMegabytes) end(`it is larger than ${mostMegabytes} MB`);
}

/** Packs the extension for one platform and returns its size. */
async function pack(target, output) {
  rmSync(stage, { recursive: true, force: true });
  for (const path of [...required, ...documents]) copy(join(root, path), join(stage, path));
  writeReadme();
  copyOnnxRuntime(target);
  writeManifest();
  // vsce asks for one; the list above is stricter.
  writeFileSync(join(stage, ".vscodeignore"), "");
  mkdirSync(dirname(output), { recursive: true });
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
  return statSync(output).size / 1e6;
}

/** Beside the bundles, where Node finds it; scripts, types and other platforms' binaries are left out. */
function copyOnnxRuntime(target) {
  const own = `${binaries}/${target.replace("-", "/")}`;
  const parts = ["onnxruntime-node/package.json", "onnxruntime-node/dist"];
  parts.push("onnxruntime-common/package.json", "onnxruntime-common/dist/cjs");
  // On macOS the library lies there twice; the binding asks for the name without the full version. DirectML (9 MB
  // packed) is loaded when first asked for, and Windows has its own.
  const leftOut = /\.\d+\.\d+\.\d+\.dylib$|^DirectML\.dll$/;
  const files = readdirSync(join(packages, own)).filter((it) => !leftOut.test(it));
  for (const path of [...parts, ...files.map((it) => `${own}/${it}`)])
    copy(join(packages, path), join(stage, "dist/node_modules", path));
}

/** Without its pictures: they lie in docs/, and an installed extension's page shows none by a relative path. */
function writeReadme() {
  const text = readFileSync(join(root, "README.md"), "utf8");
  writeFileSync(join(stage, "README.md"), text.replace(/^!\[[^\]]*\]\(docs\/[^)]*\)\n\n/gm, ""));
}

/** The manifest without what only a checkout needs. */
function writeManifest() {
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  for (const key of ["private", "scripts", "devDependencies", "dependencies"]) delete manifest[key];
  writeFileSync(join(stage, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
}

function end(text) {
  console.error(text);
  process.exit(1);
}

function copy(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to, { recursive: true, filter: (path) => !/\.(map|d\.ts)$/.test(path) });
}
