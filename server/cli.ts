// The command line, `latent-workbench <verb>`: what the editor shows, for a shell, a CI job or a cluster.
import { runCommandLine } from "./engine/command-line.ts";
import { bundled, sampleText, version } from "./bundled.ts";
import { defaultCacheFolder } from "./files/locations.ts";

process.exitCode = await runCommandLine(process.argv, {
  bundled,
  sampleText,
  version,
  cacheFolder: defaultCacheFolder(),
});
