// The command line, `latent-workbench <verb>`: what the editor shows, for a shell, a CI job or a cluster.
import { runCommandLine } from "./engine/command-line.ts";
import { bundled, sampleText, version } from "./bundled.ts";
import { defaultCacheFolder } from "./files/locations.ts";

// ONNX Runtime's CUDA provider reads this when it starts; f32 means f32 here.
process.env["NVIDIA_TF32_OVERRIDE"] = "0";
process.exitCode = await runCommandLine(process.argv, {
  bundled,
  sampleText,
  version,
  cacheFolder: defaultCacheFolder(),
});
