// The language server's program: `node dist/main.js --stdio`, or started over IPC by the editor's client.
import { createConnection, ProposedFeatures } from "vscode-languageserver/node";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundled, sampleText, version } from "./bundled.ts";
import { defaultCacheFolder } from "./files/locations.ts";
import { serveLanguage } from "./lsp/language-server.ts";

const here = dirname(fileURLToPath(import.meta.url));
serveLanguage(createConnection(ProposedFeatures.all), {
  readerProgram: join(here, "reader.js"),
  runProgram: join(here, "cli.js"),
  sampleText,
  bundled,
  defaultCacheFolder: defaultCacheFolder(),
  version,
});
