// Removals in the demo's spelling prompts against those that were measured when its SAE was made, by another program.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { correlation, fallWithout } from "../../server/analysis/attribution/ablation.ts";
import { metricAt, spliceText } from "../../server/analysis/attribution/attribute.ts";
import { saeSite } from "../../server/analysis/sae-site.ts";
import { answerMetric } from "../../server/analysis/tasks/answer-metric.ts";
import { parseTask } from "../../server/analysis/tasks/task.ts";
import { PromptWriter, wordsOf } from "../../server/analysis/tasks/word-prompts.ts";
import { SeededRandom } from "../../server/base/seeded-random.ts";
import { LmGradients } from "../../server/lm/gradients.ts";
import { loadLm } from "../../server/lm/load.ts";
import { loadSae } from "../../server/sae/load.ts";
import { openSae } from "../../server/sae/sae.ts";
import { testDevice } from "../lm/closeness.ts";
import { repoRoot } from "../parts.ts";

interface Example {
  readonly word: string;
  readonly main_latents: readonly number[];
  readonly absorber: number;
  readonly absorber_activation: number;
  readonly ablating_absorber: { readonly letter_logit_margin_drop: number };
}

test("30 absorbed words: main latents silent, the same absorber active, and its removal costs as much as it did there", async () => {
  const { examples } = JSON.parse(
    readFileSync(join(repoRoot, "test/golden/demo/absorption_examples.json"), "utf8"),
  ) as { examples: Example[] };
  const device = testDevice();
  const lm = await loadLm(join(repoRoot, "demo/lm"), device);
  const sae = await openSae(await loadSae(join(repoRoot, "demo/saes/resid2-6144-k2")), device);
  const gradients = new LmGradients(lm);
  try {
    const site = saeSite(sae, lm.hook(sae.config.hook));
    const file = readFileSync(join(repoRoot, "demo/labels/first-letter.jsonc"), "utf8");
    const task = await parseTask(file, "first-letter", { readFile: () => "" });
    const words = wordsOf(task, lm.tokenizer, { seed: 0 });
    const writer = new PromptWriter(task, lm.tokenizer, { examples: words, prependBos: true });
    const [drops, wanted]: [number[], number[]] = [[], []];
    let silent = 0;
    for (const [at, example] of examples.entries()) {
      const word = words.find((it) => it.text === ` ${example.word}`)!;
      const prompt = writer.write(word, writer.draw([word], new SeededRandom(at)))!;
      const { labels } = word;
      const position = prompt.ids.length - 1;
      const end = prompt.wholeIds.length - 1;
      const metric = answerMetric(end, writer.answerTokens(prompt), { label: labels[0]!, labels });
      const text = await spliceText(gradients, site, prompt.wholeIds);
      const [from, to] = text.acts.offsets.subarray(position, position + 2);
      const active = text.acts.latents.subarray(from, to);
      if (!example.main_latents.some((it) => active.includes(it))) silent++;
      const place = active.indexOf(example.absorber);
      expect(place, example.word).toBeGreaterThanOrEqual(0);
      const amount = text.acts.acts[from! + place]!;
      // Other examples in the prompt, a little another activation.
      expect(Math.abs(amount / example.absorber_activation - 1), example.word).toBeLessThan(0.35);
      const value = await metricAt(gradients, text, {
        metric,
        resid: text.resid,
        signal: undefined,
      });
      const rows = [{ latent: example.absorber, amount }];
      const asked = { position, rows, metric, value, signal: undefined };
      drops.push(await fallWithout(gradients, text, asked));
      wanted.push(example.ablating_absorber.letter_logit_margin_drop);
    }
    const r = correlation(drops, wanted)!;
    console.log(
      `removal of ${drops.length} absorbers: mean ${mean(drops).toFixed(2)} here, ${mean(wanted).toFixed(2)} there, r = ${r.toFixed(3)}; main latents silent on ${silent}`,
    );
    expect(r).toBeGreaterThan(0.9);
    expect(Math.abs(mean(drops) - mean(wanted))).toBeLessThan(0.3);
    expect(silent).toBeGreaterThanOrEqual(28);
  } finally {
    await gradients.release();
    await sae.release();
    await lm.release();
  }
});

function mean(list: readonly number[]): number {
  return list.reduce((sum, it) => sum + it, 0) / list.length;
}
