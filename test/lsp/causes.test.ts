import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CancellationTokenSource } from "vscode-languageserver/node";
import type { HeadlessClient } from "../../scripts/headless-client.ts";
import { promptPath, startServer, textOf } from "./server.ts";

let client: HeadlessClient;
let uri: string;
const file = readFileSync(promptPath("einstein.txt"), "utf8");
beforeAll(async () => {
  client = await startServer({ initializationOptions: { commandLinks: true } });
  uri = await client.open(promptPath("einstein.txt"));
});
afterAll(() => client.stop());

const asked = { context: 0, method: "integrated", steps: 8, ablations: 0 } as const;

async function tokenAt(text: string): Promise<{ context: number; index: number }> {
  const found = await client.page("tokenAt", { uri, offset: file.indexOf(text) + 1 });
  return found!;
}

test("a token's next token, attributed to latents with labels and ranges of the file", async () => {
  const { index } = await tokenAt(" in");
  const target = { kind: "next" } as const;
  const found = await client.page("attributeNext", { ...asked, uri, index, target, ablations: 5 });
  expect(found.position).toBe(index);
  expect(found.next).toHaveLength(5);
  expect(found.sae).toBe("resid2-6144");
  expect(found.meta?.id).toBe("meta-512");
  for (const token of found.tokens.slice(1))
    expect(file.slice(token.startOffset, token.endOffset)).toBe(token.text);
  const shares = found.latents.reduce((sum, it) => sum + it.attribution, found.others);
  const errors = found.error.reduce((sum, it) => sum + it.attribution, 0);
  expect(shares + errors).toBeCloseTo(found.sum, 3);
  expect(Object.keys(found.labels).length).toBeGreaterThan(0);
  expect(found.latents.filter((it) => it.effect !== undefined)).toHaveLength(5);
  expect(found.correlation).toBeTypeOf("number");
});

test("a hover offers it as a link to our own command, made of places alone", async () => {
  const position = { line: 0, character: file.indexOf("Einstein") + 2 };
  const text = textOf(await client.hover(uri, position)) ?? "";
  const link = /\[Attribute next token\]\(command:latentWorkbench\.attributeNext\?([^)]+)\)/;
  const [argument] = JSON.parse(decodeURIComponent(link.exec(text)![1]!)) as [object];
  const { index } = (await client.page("tokenAt", { uri, offset: position.character }))!;
  expect(argument).toEqual({ uri, context: 0, index, sae: "resid2-6144" });
});

test("a text steered: both continuations and what is between them", async () => {
  const { index } = await tokenAt(" in");
  const where = { uri, context: 0, index, positions: "all" } as const;
  const common = { ...where, keepError: true, maxNewTokens: 6, temperature: 0, seed: 0 };
  const step = { kind: "latent", latent: 139, mode: "add", amount: 60 } as const;
  const found = await client.page("steerText", { ...common, steps: [step] });
  expect(file.startsWith(found.prompt)).toBe(true);
  expect(found.steps).toEqual(["latent 139 + 60"]);
  expect(found.original.text).not.toBe(found.steered.text);
  expect(found.original.loss).toBeTypeOf("number");
  expect(found.lastDivergence).toBeGreaterThan(0);
  const meta = { kind: "meta-latent", latent: 42, mode: "ablate", amount: 0 } as const;
  const other = await client.page("steerText", { ...common, steps: [meta] });
  expect(other.original).toEqual(found.original);
  expect(other.steps).toEqual(["meta-latent 42 ablated"]);
  const unknown = client.page("steerText", { ...common, steps: [{ ...step, latent: 7000 }] });
  await expect(unknown).rejects.toThrow("there is no latent 7000: they go from 0 to 6143");
});

test("progress is told, hovers get through, and a cancelled attribution ends", async () => {
  const { index } = await tokenAt(" in");
  const target = { kind: "top" } as const;
  const source = new CancellationTokenSource();
  const params = { ...asked, uri, index, target, steps: 4000 };
  const pending = client.page("attributeNext", params, source.token);
  const ended = pending.then(
    () => "answered",
    (error: { code: number }) => error.code,
  );
  const started = performance.now();
  const fresh = await client.open(promptPath("beside.txt"), "The water is cold.");
  expect(textOf(await client.hover(fresh, { line: 0, character: 5 }))).toContain("water");
  expect(performance.now() - started).toBeLessThan(10_000);
  source.cancel();
  expect(await ended).toBe(-32800);
});
