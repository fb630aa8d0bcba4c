import { afterAll, beforeAll, expect, test } from "vitest";
import type { HeadlessClient } from "../../scripts/headless-client.ts";
import { LineStarts } from "../../server/text/line-starts.ts";
import type { PageToken, TokenCard } from "../../server/protocol/page.ts";
import { randomText, seeded } from "../random.ts";
import { promptPath, startServer } from "./server.ts";

const edits = 1000;
let client: HeadlessClient;
beforeAll(async () => {
  // The narrow SAE: what is tested here is the way of an edit, not the width.
  client = await startServer({ settings: { saes: ["resid2-1024"] } });
});
afterAll(() => client.stop());

async function tokensOf(uri: string): Promise<readonly PageToken[]> {
  const { tokens } = await client.page("tokens", {
    uri,
    context: 0,
    from: 0,
    to: 9999,
    mode: "l0",
  });
  return tokens;
}

function place({ id, startOffset, endOffset, inserted }: PageToken): unknown {
  return [id, startOffset, endOffset, inserted];
}

/** Latents of a token under the demo's SAE; they fire above one threshold. */
function checkSameLatents(edited: TokenCard, fresh: TokenCard): void {
  expect(Math.abs(edited.inputNorm - fresh.inputNorm)).toBeLessThan(1e-4 * fresh.inputNorm);
  const other = new Map(fresh.latents.map((it) => [it.latent, it.activation]));
  const weakest = Math.min(...fresh.latents.map((it) => it.activation), Infinity);
  for (const { latent, activation } of edited.latents) {
    const there = other.get(latent);
    other.delete(latent);
    if (there === undefined) expect(activation).toBeLessThan(weakest * 1.001);
    else expect(Math.abs(activation - there)).toBeLessThan(1e-3 * Math.max(1, there));
  }
  for (const activation of other.values()) expect(activation).toBeLessThan(weakest * 1.002);
}

test(
  `${edits} random edits over random Unicode: ids and ranges as from scratch after each, latents after every 20th`,
  { timeout: 600_000 },
  async () => {
    const random = seeded(7);
    let text = randomText(random, 20);
    const uri = await client.open(promptPath("edits.txt"), text);
    for (let edit = 1; edit <= edits; edit++) {
      const from = Math.floor(random() * (text.length + 1));
      const to = Math.min(text.length, from + Math.floor(random() * random() * 12));
      const inserted = text.length > 160 ? "" : randomText(random, Math.floor(random() * 4));
      const lines = new LineStarts(text);
      const range = { start: lines.position(from), end: lines.position(to) };
      // An edit inside a CR LF pair has no position of its own in LSP.
      if (text.slice(from - 1, from + 1) === "\r\n" || text.slice(to - 1, to + 1) === "\r\n")
        continue;
      text = text.slice(0, from) + inserted + text.slice(to);
      await client.change(uri, [{ range, text: inserted }]);
      const fresh = await client.open(promptPath(`fresh-${edit}.txt`), text);
      const [tokens, expected] = [await tokensOf(uri), await tokensOf(fresh)];
      expect(tokens.map(place), `after edit ${edit}`).toEqual(expected.map(place));
      if (edit % 20 === 0)
        for (const { index } of tokens) {
          const where = { context: 0, index };
          checkSameLatents(
            await client.page("tokenCard", { uri, ...where }),
            await client.page("tokenCard", { uri: fresh, ...where }),
          );
        }
      await client.close(fresh);
    }
  },
);
