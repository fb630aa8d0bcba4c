import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { HeadlessClient } from "../../scripts/headless-client.ts";
import { promptPath, startServer } from "./server.ts";

let client: HeadlessClient;
let uri: string;
const file = readFileSync(promptPath("einstein.txt"), "utf8");
beforeAll(async () => {
  client = await startServer();
  uri = await client.open(promptPath("einstein.txt"));
});
afterAll(() => client.stop());

const sae = "resid2-6144";

test("pins have colours, spans name the strongest and the others, marks are the lines where one fires", async () => {
  const offset = file.indexOf("theory") + 1;
  const at = await client.page("tokenAt", { uri, offset });
  const card = await client.page("tokenCard", { uri, ...at!, sae });
  // The demo's own.
  for (const { latent } of (await client.page("pins", {})).pins)
    await client.page("unpin", { sae, latent });
  const latents = card.latents.slice(0, 4).map((it) => it.latent);
  for (const latent of latents) await client.page("pin", { sae, latent });
  const { pins } = await client.page("pins", {});
  expect(pins.map((it) => [it.latent, it.colour])).toEqual(latents.map((it, i) => [it, i + 1]));
  for (const { max } of pins) expect(max).toBeGreaterThan(0);
  await expect(client.page("pin", { sae, latent: 1 })).rejects.toThrow("4 latents are pinned");
  const asked = { uri, fromLine: 0, toLine: 0, mode: "pinned" } as const;
  const { spans } = await client.page("heat", asked);
  const span = spans.find((it) => it.startCharacter <= offset && it.endCharacter > offset)!;
  // All four fire at this token: one fills, the others are named by how strong they are on their own scales.
  const share = ({ latent, colour }: (typeof pins)[number]): number =>
    card.latents.find((it) => it.latent === latent)!.activation / pins[colour - 1]!.max;
  const byShare = pins.toSorted((a, b) => share(b) - share(a)).map((it) => it.colour);
  expect([span.colour, ...span.also!]).toEqual(byShare);
  expect(span.heat).toBeCloseTo(share(pins[span.colour! - 1]!), 5);
  const { marks } = await client.page("pinMarks", { uri });
  expect(new Set(marks.map((it) => it.colour))).toEqual(new Set([1, 2, 3, 4]));
  expect(marks.every((it) => it.fromLine === 0 && it.toLine === 0)).toBe(true);
});

test("who is unpinned leaves a colour that the next one takes; the page's tokens name theirs", async () => {
  const { pins } = await client.page("pins", {});
  await client.page("unpin", { sae, latent: pins[1]!.latent });
  await client.page("pin", { sae, latent: 139 });
  const after = await client.page("pins", {});
  expect(after.pins.find((it) => it.latent === 139)?.colour).toBe(2);
  const range = { uri, context: 0, from: 0, to: 60, sae, mode: "pinned" } as const;
  const { tokens } = await client.page("tokens", range);
  for (const { heat, colour, description } of tokens) {
    expect(colour === undefined).toBe(heat === 0);
    expect(/, pinned #\d+ at/.test(description)).toBe(heat > 0);
  }
  expect(new Set(tokens.map((it) => it.colour)).size).toBeGreaterThan(2);
});

test("latents as a file that stands by itself", async () => {
  const { html } = await client.page("latentsAsHtml", { sae, latents: [139, 1123] });
  expect(html).toContain("<h2>#139</h2>");
  expect(html).toContain("<h2>#1123</h2>");
  expect(html).toContain("Logits that it raises");
  expect(html).not.toContain("<script");
  const none = client.page("latentsAsHtml", { sae, latents: [6144] });
  await expect(none).rejects.toThrow("6144");
});
