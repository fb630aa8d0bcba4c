/** Ids of SAEs and labels beside them. */
import { describe, expect, test } from "vitest";
import { readLabels } from "../../server/sae/labels.ts";
import { saeId } from "../../server/sae/sae-id.ts";
import { made } from "./made-saes.ts";

describe("saeId", () => {
  test.each([
    ["/runs/wide", [], "wide"],
    ["/runs/wide/sae", [], "wide"],
    ["/runs/wide/checkpoints/final", [], "wide"],
    ["/a/wide/sae", ["/b/wide/sae"], "a/wide"],
    ["/a/wide/sae", ["/a/wide/checkpoints/100"], "wide"],
    ["/a/sae/wide", ["/b/sae/wide"], "a/wide"],
    ["/runs/trainer_0/ae.pt", [], "trainer_0"],
    ["/hub/L0_50/layer9.sae.pt", [], "layer9.sae"],
    ["C:\\saes\\wide", [], "wide"],
    ["/runs/ultrawide", ["/runs/wide"], "ultrawide"],
    ["/wide", ["/runs/wide"], "wide"],
    ["sae", [], "sae"],
  ])("%s beside %j is %s", (path, others, id) => {
    expect(saeId(path, others)).toBe(id);
  });
});

describe("labels.json", () => {
  test("labels as objects or texts; the rest is reported", () => {
    const folder = made({
      "labels.json": { 17: { label: "north" }, 3: "and", 99: { label: "x" }, a: "b", 5: {} },
    });
    const { labels, problems } = readLabels(folder, 20);
    expect(labels).toEqual({ 17: "north", 3: "and" });
    expect(problems).toEqual([
      `${folder}/labels.json: 3 entries are no labels of latents 0 to 19: 5, 99, a`,
    ]);
  });

  test("no file, or no object in it", () => {
    expect(readLabels(made({ "cfg.json": {} }), 20)).toEqual({ labels: {}, problems: [] });
    expect(readLabels(made({ "labels.json": [1] }), 20).problems).toHaveLength(1);
  });
});
