import { afterAll, beforeAll, expect, test } from "vitest";
import type { HeadlessClient } from "../../scripts/headless-client.ts";
import { promptPath, startServer, textOf } from "./server.ts";

let client: HeadlessClient;
beforeAll(async () => {
  client = await startServer({ settings: { latentWorkbench: { files: ["**/prompts/*.ipynb"] } } });
});
afterAll(() => client.stop());

/** The URI of a cell as VS Code gives it. */
function cell(notebook: string, name: string): string {
  return `vscode-notebook-cell:${encodeURI(promptPath(notebook))}#${name}`;
}

const first = { line: 0, character: 5 };

test("a cell is read where the settings' patterns have its notebook, each from position 0", async () => {
  const [one, two] = [cell("a.ipynb", "W0sZmlsZQ%3D%3D"), cell("a.ipynb", "W1sZmlsZQ%3D%3D")];
  await client.openUri(one, "The ship sailed across the sea.");
  await client.openUri(two, "The water was cold.");
  expect(textOf(await client.hover(one, first))).toContain("ship");
  expect(textOf(await client.hover(two, first))).toContain("water");
  for (const uri of [one, two]) {
    const { contexts, lm } = await client.page("overview", { uri });
    expect(lm).toContain("lm");
    expect(contexts).toHaveLength(1);
    const range = { uri, context: 0, from: 0, to: 2, mode: "l0" } as const;
    const { tokens } = await client.page("tokens", range);
    expect(tokens[0]!.special).toBe(true);
    expect(tokens[1]!.startOffset).toBe(0);
  }
});

test("cells of other notebooks are off until they are switched on", async () => {
  const uri = cell("../b.ipynb", "W0sZmlsZQ%3D%3D");
  await client.openUri(uri, "The ship sailed.");
  expect(await client.hover(uri, first)).toBeNull();
  await client.page("switchFile", { uri, on: true });
  expect(textOf(await client.hover(uri, first))).toContain("ship");
});

test("an edit of a cell leaves the others as they are", async () => {
  const [one, two] = [cell("c.ipynb", "W0s"), cell("c.ipynb", "W1s")];
  await client.openUri(one, "The ship sailed.");
  await client.openUri(two, "The water was cold.");
  const before = textOf(await client.hover(two, first));
  await client.change(one, [{ text: "The boat sailed." }]);
  expect(textOf(await client.hover(one, first))).toContain("boat");
  expect(textOf(await client.hover(two, first))).toBe(before);
});
