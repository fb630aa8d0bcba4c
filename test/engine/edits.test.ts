import { afterAll, beforeAll, expect, test } from "vitest";
import type { Engine } from "../../server/engine/engine.ts";
import { parseHookPoint } from "../../server/lm/hook-points.ts";
import { Stream } from "../../server/lm/stream.ts";
import type { Tensor } from "../../server/tensor/tensor.ts";
import { randomText, seeded } from "../random.ts";
import { demoLm, openEngine } from "./engine.ts";

const hook = "blocks.2.hook_resid_post";
let engine: Engine;
let lm: string;
beforeAll(async () => {
  engine = await openEngine();
  lm = (await engine.loadLm({ path: demoLm })).id;
});
afterAll(() => engine.close());

async function residuals(stream: Stream): Promise<Tensor<"float32">> {
  const kept = await stream.read([parseHookPoint(hook)]);
  return kept.get(hook) as Tensor<"float32">;
}

test("residuals of an edited text are those of a fresh one, to 1e-4 of each token's RMS", async () => {
  const model = engine.loaded.lm(lm);
  const random = seeded(3);
  const edited = new Stream(model);
  let text = randomText(random, 40);
  let reused = 0;
  for (let edit = 1; edit <= 200; edit++) {
    const from = Math.floor(random() * (text.length + 1));
    const to = Math.min(text.length, from + Math.floor(random() * 10));
    text = text.slice(0, from) + (text.length > 300 ? "" : randomText(random, 3)) + text.slice(to);
    const ids = model.tokenizer.encode(text).ids.slice(0, model.config.n_ctx);
    if (ids.length === 0) continue;
    reused += edited.setIds(ids);
    const ours = await residuals(edited);
    if (edit % 20 !== 0) continue;
    const fresh = new Stream(model);
    fresh.setIds(ids);
    const theirs = await residuals(fresh);
    expect(ours.dims).toEqual(theirs.dims);
    const d = model.config.d_model;
    for (let token = 0; token < ids.length; token++) {
      let [squares, worst] = [0, 0];
      for (let at = token * d; at < (token + 1) * d; at++) {
        const [a, b] = [ours.data[at] as number, theirs.data[at] as number];
        squares += b * b;
        worst = Math.max(worst, Math.abs(a - b));
      }
      expect(worst, `edit ${edit}, token ${token}`).toBeLessThan(1e-4 * Math.sqrt(squares / d));
    }
    fresh.dispose();
  }
  expect(reused).toBeGreaterThan(1000);
});

test("a window's rows do not depend on when they were read", async () => {
  const saes = [(await engine.loadSae({ path: demoLm.replace(/lm$/, "saes/resid2-1024"), lm })).id];
  const text = "The water of the river is cold. ".repeat(60);
  const context = { kind: "plain" as const, parts: [{ text, fileStart: 0 }] };
  const once = await engine.analyse({ stream: "once", lm, saes, context });
  expect(new Set(once.window).size).toBeGreaterThan(1);
  const again = await engine.analyse({ stream: "once", lm, saes, context });
  expect(again.reusedTokens).toBeGreaterThan(0);
  expect(again.saes).toEqual(once.saes);
  expect([...once.position].every((at, token) => at === token || once.window[token] !== 0)).toBe(
    true,
  );
});
