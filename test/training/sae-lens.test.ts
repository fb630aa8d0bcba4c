/** Finished SAEs in Python SAELens: the same activations and reconstructions as from the trained parameters. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readSafetensors, writeSafetensors } from "../../server/encoding/safetensors.ts";
import { type Device, openDevice } from "../../server/runtime/device.ts";
import { openTrainer, type RawBatch } from "../../server/training/trainer.ts";
import { describePart, repoRoot } from "../parts.ts";
import { goldenBatches, goldenNames, goldenRun } from "./golden-runs.ts";
import { plainForward } from "./plain-forward.ts";
import { smallBatches, smallConfigs } from "./small-configs.ts";

const python = process.env["LATENT_WORKBENCH_PYTHON"] ?? join(repoRoot, ".cache/venv/bin/python");
const missing = existsSync(python) ? undefined : "no LATENT_WORKBENCH_PYTHON and no .cache/venv";

/** Inference classes of SAELens by what was trained. */
const classes: Readonly<Record<string, string>> = {
  standard: "StandardSAE",
  topk: "TopKSAE",
  abstopk: "AbsTopKSAE",
  batchtopk: "JumpReLUSAE",
  matryoshka: "JumpReLUSAE",
  jumprelu: "JumpReLUSAE",
  gated: "GatedSAE",
};

describePart(missing, "in Python SAELens", () => {
  const folder = mkdtempSync(join(tmpdir(), "latent-workbench-sae-lens-"));
  const wanted = new Map<
    string,
    { rows: Float64Array[]; architecture: string; transcoder: boolean }
  >();
  let device: Device;

  beforeAll(async () => {
    ({ device } = await openDevice({ device: "cpu", threads: 2, memoryBudget: 2 ** 30 }));
    for (const name of goldenNames) {
      const { config, init } = goldenRun(name);
      const batches = goldenBatches().map((x) => ({ x }));
      await train(name, batches, () => openTrainer(config, device, init));
    }
    for (const [name, { config, target }] of Object.entries(smallConfigs))
      await train(name, smallBatches(config, target), () => openTrainer(config, device));
    execFileSync(python, [join(repoRoot, "test/python/sae_lens_outputs.py"), folder], {
      stdio: ["ignore", "ignore", "pipe"],
    });
  }, 300_000);

  afterAll(async () => {
    await device.close();
    rmSync(folder, { recursive: true });
  });

  async function train(
    name: string,
    batches: readonly RawBatch[],
    open: () => ReturnType<typeof openTrainer>,
  ): Promise<void> {
    const trainer = await open();
    for (const batch of batches.slice(0, trainer.observations)) await trainer.observe(batch);
    for (const batch of batches.slice(0, 6)) await trainer.step(batch);
    const { tensors, cfg } = trainer.finish();
    const path = join(folder, name.replaceAll("/", "__"));
    mkdirSync(path);
    const { x } = batches[0]!;
    writeFileSync(join(path, "sae_weights.safetensors"), writeSafetensors(tensors));
    writeFileSync(join(path, "cfg.json"), JSON.stringify(cfg));
    writeFileSync(join(path, "x.safetensors"), writeSafetensors(new Map([["x", x]])));
    const average = trainer.state().get("threshold/average")?.data as Float64Array | undefined;
    const threshold = average && (Number.isNaN(average[0]) ? average[1] : average[0]);
    wanted.set(name, {
      rows: plainForward(trainer, x, threshold),
      architecture: trainer.config.architecture,
      transcoder: trainer.config.d_out !== null,
    });
    await trainer.release();
  }

  test.each([...goldenNames, ...Object.keys(smallConfigs)])("%s", (name) => {
    const path = join(folder, name.replaceAll("/", "__"));
    const { rows, architecture, transcoder } = wanted.get(name)!;
    const facts = JSON.parse(readFileSync(join(path, "output.json"), "utf8"));
    if (transcoder) expect(facts.class).toMatch(/Transcoder$/);
    else expect(facts.class).toBe(classes[architecture]);
    expect(facts.metadata.training_architecture).toBe(architecture);
    const { data, dims } = readSafetensors(readFileSync(join(path, "output.safetensors"))).get(
      "forward",
    )!;
    const width = dims[1]!;
    const wrong = rows.filter((row, at) => {
      const rms = Math.sqrt(row.reduce((sum, it) => sum + it ** 2, 0) / width);
      return row.some((it, i) => !(Math.abs(it - Number(data[at * width + i])) <= 1e-4 * rms));
    });
    // An activation on the edge of a threshold may fall on its other side.
    expect(wrong.length).toBeLessThanOrEqual(1);
  });
});
