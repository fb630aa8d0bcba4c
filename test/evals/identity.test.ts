// SAEs that reconstruct exactly: whatever the hook point, nothing may change in the model's predictions.
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { writeSafetensors } from "../../server/encoding/safetensors.ts";
import { evaluate, type Evaluated } from "../../server/engine/evals/evaluate.ts";
import { tensor } from "../../server/tensor/tensor.ts";
import { repoRoot } from "../parts.ts";

const scratch = mkdtempSync(join(tmpdir(), "latent-workbench-identity-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const lm = join(repoRoot, "test/golden/tiny-lms/llama");
const [d, d_vocab, nPrompts, length] = [32, 101, 3, 20];

/** relu(x) · I + relu(−x) · (−I) = x: a latent for each direction and its opposite. */
function identitySae(hook: string): string {
  const folder = join(scratch, hook);
  mkdirSync(folder);
  const W_enc = new Float32Array(d * 2 * d);
  const W_dec = new Float32Array(2 * d * d);
  for (let i = 0; i < d; i++) {
    W_enc[i * 2 * d + i] = 1;
    W_enc[i * 2 * d + d + i] = -1;
    W_dec[i * d + i] = 1;
    W_dec[(d + i) * d + i] = -1;
  }
  const tensors = new Map([
    ["W_enc", tensor("float32", [d, 2 * d], W_enc)],
    ["W_dec", tensor("float32", [2 * d, d], W_dec)],
    ["b_enc", tensor("float32", [2 * d], new Float32Array(2 * d))],
    ["b_dec", tensor("float32", [d], new Float32Array(d))],
  ]);
  writeFileSync(join(folder, "sae_weights.safetensors"), writeSafetensors(tensors));
  const metadata = { sae_lens_version: "6.54.12", hook_name: hook, prepend_bos: false };
  const cfg = { architecture: "standard", d_in: d, d_sae: 2 * d, dtype: "float32", metadata };
  writeFileSync(join(folder, "cfg.json"), JSON.stringify(cfg));
  return folder;
}

const ids = Int32Array.from({ length: nPrompts * length }, (_, i) => (i * 7919 + 3) % d_vocab);
const tokens = join(scratch, "tokens.safetensors");
writeFileSync(
  tokens,
  writeSafetensors(new Map([["ids", tensor("int32", [nPrompts, length], ids)]])),
);

async function evaluated(hook: string): Promise<Evaluated> {
  const [found] = await evaluate({
    lm,
    saes: [identitySae(hook)],
    facts: {},
    prompts: { kind: "tokens", file: tokens },
    batch: 2,
    reconstructionBatches: 10,
    varianceBatches: undefined,
    ignoreSpecial: false,
    directions: true,
    device: "cpu",
    threads: 1,
    program: "test",
    signal: new AbortController().signal,
    onProgress: () => {},
  });
  return found!;
}

test.each(["blocks.0.hook_resid_pre", "blocks.0.hook_resid_post", "blocks.1.hook_mlp_out"])(
  "%s",
  async (hook) => {
    const { result } = await evaluated(hook);
    const { model_performance_preservation: losses, model_behavior_preservation: divergence } =
      result.metrics;
    expect(losses!.ce_loss_with_sae).toBeCloseTo(losses!.ce_loss_without_sae, 6);
    expect(Math.abs(losses!.ce_loss_with_ablation - losses!.ce_loss_without_sae)).toBeGreaterThan(
      1e-3,
    );
    expect(losses!.ce_loss_score).toBeCloseTo(1, 4);
    expect(divergence!.kl_div_with_sae).toBeCloseTo(0, 6);
    expect(divergence!.kl_div_score).toBeCloseTo(1, 4);
    expect(result.own.fvu).toBeCloseTo(0, 10);
    expect(result.metrics.sparsity.l0).toBe(d);
    expect(result.metrics.shrinkage.l2_ratio).toBeCloseTo(1, 6);
    expect(result.metrics.token_stats).toEqual({
      total_tokens_eval_reconstruction: nPrompts * length,
      total_tokens_eval_sparsity_variance: nPrompts * length,
    });
    expect(result.notes).toEqual([]);
  },
);

test("with zeros in place of the last residual every token is as likely", async () => {
  const { result } = await evaluated("blocks.2.hook_resid_post");
  const { ce_loss_with_ablation } = result.metrics.model_performance_preservation!;
  expect(ce_loss_with_ablation).toBeCloseTo(Math.log(d_vocab), 5);
});

test("what cannot be replaced is measured without the model's predictions, and says so", async () => {
  const { result, json } = await evaluated("blocks.1.hook_resid_mid");
  expect(result.metrics.model_performance_preservation).toBeUndefined();
  expect(result.metrics.token_stats.total_tokens_eval_reconstruction).toBe(0);
  expect(result.own.fvu).toBeCloseTo(0, 10);
  expect(result.notes).toEqual([
    expect.stringMatching(/not measured: blocks.1.hook_resid_mid cannot be replaced/),
  ]);
  expect(json({ details: false })["eval_config"]).toMatchObject({ compute_kl: false });
});
