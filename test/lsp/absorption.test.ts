// Absorption in the real editor: a prepared task at the demo's SAE that shows it, in hovers, among problems, and over a workspace.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  CancellationTokenSource,
  type CodeAction,
  type Diagnostic,
  LSPErrorCodes,
} from "vscode-languageserver/node";
import type { HeadlessClient } from "../../scripts/headless-client.ts";
import { repairSentence } from "../../server/protocol/decompositions.ts";
import { repoRoot } from "../parts.ts";
import { promptPath, startServer, textOf } from "./server.ts";

const k2 = "resid2-6144-k2";
const front = `---\nlatent-workbench:\n  saes: [${k2}]\n---\n`;
const labels = join(repoRoot, "demo/labels/first-letter.jsonc");
const asked = { sae: k2, task: "first-letter", setting: "prompts" } as const;
const folder = mkdtempSync(join(tmpdir(), "latent-workbench-live-"));
const cacheFolder = join(folder, "cache");
let client: HeadlessClient;
beforeAll(async () => {
  client = await startServer({ settings: { cacheFolder } });
});
afterAll(async () => {
  await client.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** The hover on the word whose line is `\n word has the first letter:` without an answer. */
async function hoverOn(uri: string, text: string, word: string): Promise<string> {
  const before = text.split(`\n ${word} has the first letter:\n`)[0] ?? "";
  const line = before.split("\n").length;
  return textOf(await client.hover(uri, { line, character: 2 })) ?? "";
}

test("nothing is said before a task is prepared; then for, from and have are absorbed, found and free fire", async () => {
  const files = ["absorbed.prompt.md", "not-absorbed.prompt.md"];
  const [absorbed = "", firing = ""] = files.map((name) => readFileSync(promptPath(name), "utf8"));
  const uris: string[] = [];
  for (const name of files) uris.push(await client.open(promptPath(name)));
  const [absorbedUri = "", firingUri = ""] = uris;
  expect(await hoverOn(absorbedUri, absorbed, "for")).not.toContain("first-letter");
  const { tasks } = await client.page("absorptionTasks", {});
  expect(tasks.map((it) => it.name)).toContain("first-letter");
  const { prepared } = await client.page("prepareAbsorption", {
    uri: absorbedUri,
    labels: join(repoRoot, "demo/labels/first-letter.jsonc"),
    setting: "prompts",
  });
  expect(prepared.map((it) => it.sae)).toEqual(["resid2-6144-k2"]);
  // What the page asks: the same figures, recalled, with labels for what they name.
  const { saes } = await client.page("absorptionChoices", { uri: absorbedUri });
  expect(saes.map((it) => it.id)).toEqual(["resid2-6144-k2"]);
  const { report } = await client.page("measureAbsorption", {
    uri: absorbedUri,
    sae: "resid2-6144-k2",
    labels: join(repoRoot, "demo/labels/first-letter.jsonc"),
    setting: "prompts",
  });
  expect(report).toEqual(prepared[0]?.report);
  const f = report.labels.find((it) => it.label === "f");
  expect(f?.main.map((it) => it.latent)).toContain(1527);
  for (const it of f?.words ?? []) expect(it.strongest.length, it.word).toBeGreaterThan(0);
  for (const [word, letter, main, absorber] of [
    ["for", "f", 1527, 5982],
    ["from", "f", 1527, 2950],
    ["have", "h", 6069, 1738],
  ] as const) {
    const hover = await hoverOn(absorbedUri, absorbed, word);
    expect(hover, word).toMatch(
      new RegExp(
        `\\*\\*absorbed\\*\\* · first-letter “${letter}”: probe (1\\.00|0\\.\\d\\d) \\(F1 [01][.\\d]* on held-out words\\); main #${main} silent \\(pre-activation [\\d.-]+, threshold 52\\.7, F1 0\\.\\d+\\); #${absorber} carries [01]\\.\\d\\d of the probe's projection`,
      ),
    );
    // Why the main latent stayed silent: parts that sum to its pre-activation.
    const parts =
      /probe's direction gives ([\d.-]+), #\d+'s row besides it ([\d.-]+) \(cosine with #\d+'s encoder -?0\.\d\d, with its decoder row -?0\.\d\d\), the rest ([\d.-]+)/.exec(
        hover,
      );
    const sum = [1, 2, 3].reduce((total, at) => total + Number(parts?.[at]), 0);
    const preActivation = Number(/pre-activation ([\d.-]+),/.exec(hover)?.[1]);
    expect(Math.abs(sum - preActivation)).toBeLessThan(2);
  }
  for (const word of ["found", "free"]) {
    const hover = await hoverOn(firingUri, firing, word);
    expect(hover, word).toMatch(/\*\*fires[^*]*\*\* · first-letter “f”: .*main #1527 \d+/);
  }
  // The dashboards of both latents list the case.
  for (const latent of [1527, 5982]) {
    const { absorbed: cases } = await client.page("latentPlaces", { sae: k2, latent, limit: 20 });
    const found = cases.find((it) => it.text === " for");
    expect(found, String(latent)).toMatchObject({ label: "f", absorber: 5982 });
    expect(found?.silent).toContain(1527);
    expect(cases.some((it) => it.text === " found")).toBe(false);
  }
  // The prompts' probe says nothing of a word in running text.
  const plain = await client.open(
    promptPath("plain.prompt.md"),
    "---\nlatent-workbench:\n  saes: [resid2-6144-k2]\n---\nWe wait for rain.\n",
  );
  expect(textOf(await client.hover(plain, { line: 4, character: 9 })) ?? "").not.toContain(
    "first-letter",
  );
}, 1_800_000);

test("the page has the same SAE judged by the paper's rule, hears how far it is, and can end it", async () => {
  const uri = await client.open(promptPath("absorbed.prompt.md"));
  const question = { uri, sae: k2, labels, words: 2 };
  const cancel = new CancellationTokenSource();
  const cancelled = client.page("causalAbsorption", question, cancel.token);
  setTimeout(() => cancel.cancel(), 1000);
  await expect(cancelled).rejects.toMatchObject({ code: LSPErrorCodes.RequestCancelled });
  const seen = new Set<string>();
  const timer = setInterval(() => {
    void client.page("absorptionProgress", {}).then(({ text }) => seen.add(text.slice(0, 23)));
  }, 50);
  const { report, names } = await client.page("causalAbsorption", question);
  clearInterval(timer);
  expect([...seen].join()).toContain(`${k2}: label `);
  const f = report.labels.find((it) => it.label === "f")!;
  expect(f).toMatchObject({ answer: " F", main: [{ latent: 1527 }] });
  expect(names["1527"]).toBeDefined();
  expect(f.words.every((it) => it.sparseScore <= 0)).toBe(true);
  expect(report.effects.find((it) => it.kind === "main")!.high).toBeLessThan(-1);
}, 600_000);

/** A server on a copy of the demo's prompts, with a file that no editor opens. */
function start(options: Parameters<typeof startServer>[0] = {}): Promise<HeadlessClient> {
  const settings = { cacheFolder, absorption: { diagnostics: true } };
  return startServer({ workspaceFolder: folder, settings, ...options });
}

/** The problems of a document once there are some. */
async function problemsOf(from: HeadlessClient, of: string): Promise<readonly Diagnostic[]> {
  for (let round = 0; round < 300; round++) {
    const found = from.diagnostics.get(of) ?? [];
    if (found.length > 0) return found;
    await from.changed(of, 100);
  }
  return [];
}

function textOfMessage(message: Diagnostic["message"]): string {
  return typeof message === "string" ? message : message.value;
}

describe("later, in a workspace", () => {
  let later: HeadlessClient;
  let uri: string;

  beforeAll(async () => {
    mkdirSync(join(folder, "prompts"));
    for (const name of ["absorbed.prompt.md", "not-absorbed.prompt.md"])
      cpSync(join(repoRoot, "demo/prompts", name), join(folder, "prompts", name));
    writeFileSync(join(folder, "prompts/other-sae.txt"), "for from have");
    writeFileSync(join(folder, "notes.md"), `${front} for has the first letter:\n`);
    writeFileSync(join(folder, "ignored.md"), "for has the first letter:\n");
    later = await start();
    uri = await later.open(join(folder, "prompts/absorbed.prompt.md"));
    await later.page("prepareAbsorption", { uri, labels, setting: "prompts" });
  }, 1_800_000);
  afterAll(() => later.stop());

  async function problemOf(from: HeadlessClient, word: string): Promise<Diagnostic> {
    const problems = await problemsOf(from, uri);
    const found = problems.find(({ message }) => textOfMessage(message).startsWith(word));
    if (!found) throw new Error(`no problem about ${word} among ${JSON.stringify(problems)}`);
    return found;
  }

  function actionsAt(from: HeadlessClient, { range }: Diagnostic): Promise<CodeAction[]> {
    const params = { textDocument: { uri }, range, context: { diagnostics: [] } };
    return from.connection.sendRequest("textDocument/codeAction", params);
  }

  describe("problems", () => {
    test("absorbed words are information, each at its word; switched off there are none", async () => {
      const problems = await problemsOf(later, uri);
      const path = join(folder, "prompts/absorbed.prompt.md");
      const lines = readFileSync(path, "utf8").split("\n");
      const found = problems.map(({ range, message, severity, code, source }) => {
        expect([severity, code, source]).toEqual([3, "absorbed", "Latent Workbench"]);
        const word = lines[range.start.line]
          ?.slice(range.start.character, range.end.character)
          .trim();
        expect(message).toMatch(
          new RegExp(
            `^${word} is absorbed for first-letter “${word?.[0]}”: #\\d+ silent; #\\d+ carries [01]\\.\\d\\d of the projection \\(probe`,
          ),
        );
        return word;
      });
      expect(found).toContain("for");
      await later.configure({ cacheFolder });
      for (let round = 0; round < 300 && later.diagnostics.get(uri)?.length; round++)
        await later.changed(uri, 100);
      expect(later.diagnostics.get(uri)).toEqual([]);
      await later.configure({ cacheFolder, absorption: { diagnostics: true } });
      expect((await problemsOf(later, uri)).length).toBe(problems.length);
    });

    test("in any editor: say how it was judged, pin the absorber; an untrue argument is refused", async () => {
      const problem = await problemOf(later, "for");
      const actions = await actionsAt(later, problem);
      expect(actions.map((it) => it.title)).toEqual([
        "Say how it was judged",
        "Pin absorber #5982",
      ]);
      expect(actions[0]?.diagnostics).toEqual([problem]);
      const offered = later.initialized.capabilities.executeCommandProvider?.commands;
      const said: string[] = [];
      later.connection.onNotification(
        "window/showMessage",
        (it: { message: string }) => void said.push(it.message),
      );
      for (const { command } of actions) {
        expect(offered).toContain(command?.command);
        await later.connection.sendRequest("workspace/executeCommand", command!);
      }
      expect(said.join()).toMatch(/absorbed · first-letter “f”: probe .*main #1527 silent/);
      expect((await later.page("overview", { uri })).pinned).toMatchObject([
        { sae: k2, latent: 5982 },
      ]);
      await later.connection.sendRequest("workspace/executeCommand", {
        command: "latent-workbench.tellAbsorption",
        arguments: [{ uri, startOffset: 0, sae: k2 }],
      });
      expect(said.at(-1)).toContain("not absorbed any more");
    });

    test("with our client: its own commands with plain data", async () => {
      const ours = await start({ initializationOptions: { commandLinks: true } });
      await ours.open(join(folder, "prompts/absorbed.prompt.md"));
      const problem = await problemOf(ours, "for");
      const actions = await actionsAt(ours, problem);
      expect(ours.initialized.capabilities.executeCommandProvider).toBeUndefined();
      expect(actions.map((it) => [it.command?.command, it.command?.arguments?.[0]])).toMatchObject([
        ["latentWorkbench.openAbsorptionPage", { ...asked, uri, label: "f" }],
        ["latentWorkbench.exploreLatents", { sae: k2, latent: 1527 }],
        ["latentWorkbench.exploreLatents", { sae: k2, latent: 5982 }],
        ["latentWorkbench.pinLatent", { sae: k2, latent: 5982 }],
      ]);
      await ours.stop();
    });
  });

  test("words and latents are found in open files and in those on disk; others are left out, with the reason", async () => {
    const ofLabel = { kind: "label", ...asked, label: "f" } as const;
    const { places, total, files, leftOut, names } = await later.page("occurrences", {
      uri,
      sae: k2,
      sought: ofLabel,
      limit: 500,
    });
    expect(files).toBe(3);
    expect(total).toBe(places.length);
    expect(leftOut).toEqual(["prompts/other-sae.txt: it is read by other models"]);
    const note = places.find((it) => it.name === "notes.md");
    expect(note).toMatchObject({
      uri: pathToFileURL(join(folder, "notes.md")).href,
      line: 4,
      text: " for",
      before: "",
      after: " has the first letter:",
      startOffset: front.length,
      verdict: { label: "f" },
    });
    expect(names["1527"]).toBeDefined();
    const word = { ...ofLabel, word: "found" };
    const found = await later.page("occurrences", { uri, sae: k2, sought: word, limit: 500 });
    expect(found.places.length).toBeGreaterThan(0);
    for (const it of found.places) expect(it.text.trim()).toBe("found");
    const latent = { kind: "latent", latent: 5982 } as const;
    const fires = await later.page("occurrences", { uri, sae: k2, sought: latent, limit: 1 });
    expect(fires.total).toBeGreaterThan(1);
    expect(fires.places).toHaveLength(1);
    for (const it of fires.places) expect(it.act).toBeGreaterThan(0);
  });

  test("how a task was measured is known for a case in a text", async () => {
    const question = { labels, setting: "prompts" };
    expect(await later.page("measuredAs", asked)).toEqual({ question });
    expect(await later.page("measuredAs", { ...asked, setting: "text" })).toEqual({});
  });

  test("levels are compared with what is loaded for it; a meta-SAE alone is no level, and repair says what it comes to", async () => {
    const { candidates, tasks } = await later.page("decompositionChoices", { uri });
    expect(tasks.map((it) => it.name)).toContain("first-letter");
    // One SAE is in use, so that those named beside the model are chosen, too.
    expect(candidates.filter((it) => it.chosen).map((it) => it.id)).toEqual(
      expect.arrayContaining([k2, "resid2-6144", "meta-512"]),
    );
    const task = { labels, setting: "prompts", uri } as const;
    const [sae = "", meta = ""] = [k2, "meta-512"].map(
      (id) => candidates.find((it) => it.id === id)?.path,
    );
    await expect(later.page("compareLevels", { ...task, paths: [meta] })).rejects.toThrow(
      /only meta-SAEs are chosen/,
    );
    const { levels } = await later.page("compareLevels", { ...task, paths: [sae, meta] });
    expect(levels).toMatchObject([{ sae: k2 }, { sae: k2, meta: "meta-512" }]);
    expect(levels[0]!.fvu).toBeLessThan(levels[1]!.fvu);
    const { labels: repaired } = await later.page("tryRepair", { ...task, sae, meta });
    expect(repairSentence(repaired)).toMatch(/^repair does not help: over \d+ labels/);
    await expect(later.page("tryRepair", { ...task, sae, meta: sae })).rejects.toThrow(
      /no meta-SAE/,
    );
    const cancelled = new CancellationTokenSource();
    const asked = later.page("compareLevels", { ...task, paths: [sae, meta] }, cancelled.token);
    cancelled.cancel();
    await expect(asked).rejects.toThrow(/cancelled/);
  }, 120_000);
});
