// Writes NOTICE: the licences of what others wrote and the extension carries. `npm run notice` after a build.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { repoRoot } from "./bootstrap.mjs";

/** Copied beside the bundles, so in no metafile. */
const copied = ["@vscode/codicons", "onnxruntime-common", "onnxruntime-node"];
/** Licences that a package names without bringing their text along. */
const texts = {
  "onnxruntime-common": mit("Copyright (c) Microsoft Corporation"),
  "onnxruntime-node": `${mit("Copyright (c) Microsoft Corporation")}

The library holds work of others; their notices are in ThirdPartyNotices.txt of https://github.com/microsoft/onnxruntime
On Windows it comes with the DirectX Shader Compiler under the licences that
https://github.com/microsoft/DirectXShaderCompiler names.`,
  "@vscode/codicons": `Copyright (c) Microsoft Corporation

The icons are under the Creative Commons Attribution 4.0 International Licence,
https://creativecommons.org/licenses/by/4.0/legalcode; they are unchanged.`,
};

/** Names of the packages whose code is in the bundles, by esbuild's metafiles. */
export function bundledPackages() {
  const names = new Set(copied);
  for (const name of ["client", "server", "pages"]) {
    const { outputs } = JSON.parse(readFileSync(join(repoRoot, `dist/meta-${name}.json`), "utf8"));
    for (const { inputs } of Object.values(outputs)) {
      for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
        const found = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1];
        if (found && bytesInOutput > 0) names.add(found);
      }
    }
  }
  return [...names].sort();
}

/** The whole text of NOTICE for the present build. */
export function noticeText() {
  const parts = bundledPackages().map((name) => {
    const folder = join(repoRoot, "node_modules", name);
    const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    return `${"=".repeat(80)}\n${name} ${version} (${license})\n${"=".repeat(80)}\n\n${licenceOf(name, folder)}\n`;
  });
  const head = `Latent Workbench
Licensed under the Apache License, Version 2.0; see LICENSE.

demo/README.md names the texts that the demo's models were trained on, with their licences and authors.
The extension holds the following works of others.
`;
  return `${head}\n${parts.join("\n")}`;
}

function licenceOf(name, folder) {
  if (texts[name]) return texts[name];
  const file = readdirSync(folder).find((it) => /^(licen[cs]e|copying)(\.(md|txt))?$/i.test(it));
  if (!file)
    throw new Error(`${name} brings no licence along: give its text in scripts/notice.mjs`);
  const lines = readFileSync(join(folder, file), "utf8").replaceAll("\r\n", "\n").split("\n");
  return lines
    .map((line) => line.trimEnd())
    .join("\n")
    .trim();
}

function mit(copyright) {
  return `MIT License

${copyright}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  if (!existsSync(join(repoRoot, "dist/meta-server.json"))) {
    console.error("dist/meta-server.json is missing: run `npm run build` first");
    process.exit(1);
  }
  writeFileSync(join(repoRoot, "NOTICE"), noticeText());
}
