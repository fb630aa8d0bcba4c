import { describe, expect, test } from "vitest";
import {
  blockHookKinds,
  type HookPoint,
  hookQuantities,
  parseHookPoint,
  printHookPoint,
} from "../../server/lm/hook-points.ts";

describe("hook points", () => {
  test.each([
    ["hook_embed", { kind: "embed" }],
    ["blocks.9.hook_resid_pre", { kind: "resid_pre", layer: 9 }],
    ["blocks.9.hook_resid_mid", { kind: "resid_mid", layer: 9 }],
    ["blocks.9.hook_resid_post", { kind: "resid_post", layer: 9 }],
    ["blocks.0.hook_attn_out", { kind: "attn_out", layer: 0 }],
    ["blocks.0.attn.hook_out", { kind: "attn_out_raw", layer: 0 }],
    ["blocks.0.attn.hook_z", { kind: "z", layer: 0 }],
    ["blocks.0.attn.hook_pattern", { kind: "pattern", layer: 0 }],
    ["blocks.12.hook_mlp_out", { kind: "mlp_out", layer: 12 }],
    ["blocks.12.mlp.hook_out", { kind: "mlp_out_raw", layer: 12 }],
    ["blocks.12.mlp.hook_in", { kind: "mlp_in", layer: 12 }],
    ["blocks.12.mlp.hook_post", { kind: "mlp_post", layer: 12 }],
    ["blocks.12.ln2.hook_normalized", { kind: "ln2_normalized", layer: 12 }],
    ["ln_final.hook_normalized", { kind: "ln_final" }],
    ["logits", { kind: "logits" }],
  ] as [string, HookPoint][])("%s is read and printed back", (name, point) => {
    expect(parseHookPoint(name)).toEqual(point);
    expect(printHookPoint(point)).toBe(name);
  });

  test.each([
    ["model.layers.10", "blocks.10.hook_resid_post"],
    ["transformer.h.10", "blocks.10.hook_resid_post"],
    ["gpt_neox.layers.10", "blocks.10.hook_resid_post"],
    ["layers.10", "blocks.10.hook_resid_post"],
    ["h.3", "blocks.3.hook_resid_post"],
    ["layers.10.mlp", "blocks.10.mlp.hook_out"],
    ["transformer.h.2.mlp", "blocks.2.mlp.hook_out"],
    ["model.layers.2.self_attn", "blocks.2.attn.hook_out"],
    ["gpt_neox.layers.2.attention", "blocks.2.attn.hook_out"],
    ["layers_output[4]", "blocks.4.hook_resid_post"],
    ["layers_input[4]", "blocks.4.hook_resid_pre"],
    ["attentions_output[4]", "blocks.4.attn.hook_out"],
    ["mlps_input[4]", "blocks.4.mlp.hook_in"],
    ["model.norm", "ln_final.hook_normalized"],
    ["lm_head", "logits"],
  ])("%s means %s", (synonym, name) => {
    expect(printHookPoint(parseHookPoint(synonym))).toBe(name);
  });

  test("every kind has a spelling of its own and says what it reads", () => {
    const names = blockHookKinds.map((kind) => printHookPoint({ kind, layer: 1 }));
    expect(new Set(names).size).toBe(blockHookKinds.length);
    for (const kind of blockHookKinds) expect(hookQuantities[kind]).toMatch(/\w/);
  });

  test.each([
    ["blocks.30.hook_residpost", "did you mean blocks.30.hook_resid_post"],
    ["blocks.3.hook_mlpout", "blocks.3.hook_mlp_out"],
    ["ln_final.hook_normalised", "ln_final.hook_normalized"],
    ["what?", "names are spelled as in TransformerLens, e.g. blocks.0.hook_resid_post"],
    ["blocks.-1.hook_resid_post", "blocks.1.hook_resid_post"],
    ["constructor", "unknown hook point"],
    ["constructor[3]", "unknown hook point"],
    ["layers.3.toString", "unknown hook point"],
  ])("%s is refused with a hint", (name, text) => {
    expect(() => parseHookPoint(name)).toThrow(
      expect.objectContaining({
        code: "unknown-hook-point",
        message: expect.stringContaining(text) as string,
      }),
    );
  });
});
