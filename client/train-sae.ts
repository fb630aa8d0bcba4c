/** The guided start of a training: a few questions with good answers filled in, then the run and its page. */
import * as vscode from "vscode";
import { UserError } from "../server/base/errors.ts";
import type { TrainAnswers, TrainArchitecture, TrainChoices } from "../server/protocol/runs.ts";
import type { ClientParts } from "./client-parts.ts";
import { activeTextEditor } from "./documents.ts";
import { startRun } from "./runs-commands.ts";
import {
  architectures,
  countText,
  defaultL0,
  defaultMetaRows,
  defaultMetaWidth,
  defaultTokens,
  defaultWidth,
  parseCount,
} from "./train-defaults.ts";

/** Thrown where a question is left without an answer. */
class Left extends Error {}

/** Asks for architecture, hook point, corpus, width, L0 and tokens; trains on the model of the active document. */
export async function trainSae(parts: ClientParts): Promise<void> {
  await guided(parts, async (choices) => {
    const ask = asker(`Train an SAE on ${choices.lm.id}`, 6);
    const architecture = await ask.pick("Architecture", architectureItems());
    const hook = await ask.pick(
      `Hook point in ${choices.lm.id}, ${choices.lm.layers} layers`,
      hookItems(choices),
    );
    const corpus = await askForCorpus(ask);
    const d_sae = await ask.count(
      `Latents; the model's width is ${choices.d_model}`,
      defaultWidth(choices.d_model),
    );
    const sparsity = await askForSparsity(ask, architecture, "token", defaultL0(choices.d_model));
    const tokens = await ask.count(
      "Tokens to train on, such as 500k or 2M",
      defaultTokens(d_sae, await sizeOf(corpus)),
    );
    const { n_ctx, prependBos, lm, d_model } = choices;
    return {
      name: `${architecture}-${shortHook(hook)}-${d_sae}`,
      architecture,
      lm: lm.path,
      hook,
      corpus,
      d_in: d_model,
      d_sae,
      ...sparsity,
      tokens,
      n_ctx,
      prependBos,
    };
  });
}

/** Asks for a parent SAE, architecture, width and L0; trains on the parent's decoder rows. */
export async function trainMetaSae(parts: ClientParts): Promise<void> {
  await guided(parts, async ({ saes, lm }) => {
    if (saes.length === 0)
      throw new UserError(
        "no-parent-sae",
        'no SAE is in use whose decoder rows a meta-SAE could read; use "Latent Workbench: Choose SAEs…" first',
      );
    const ask = asker("Train a meta-SAE", 4);
    const path = await ask.pick(
      "SAE whose decoder rows it reads",
      saes.map(({ id, path: value, d_sae }) => ({
        label: id,
        description: `${d_sae} latents`,
        value,
      })),
    );
    const parent = saes.find((it) => it.path === path) as TrainChoices["saes"][number];
    const architecture = await ask.pick("Architecture", architectureItems());
    const d_sae = await ask.count(
      `Meta-latents; ${parent.id} has ${parent.d_sae} latents`,
      defaultMetaWidth(parent.d_sae),
    );
    const sparsity = await askForSparsity(ask, architecture, "decoder row", 4);
    return {
      name: `meta-${parent.id.split("/").at(-1)}-${d_sae}`,
      architecture,
      lm: lm.path,
      metaOf: path,
      d_in: parent.d_in,
      d_sae,
      ...sparsity,
      corpus: [],
      tokens: defaultMetaRows(parent.d_sae),
    };
  });
}

async function guided(
  parts: ClientParts,
  ask: (choices: TrainChoices) => Promise<TrainAnswers>,
): Promise<void> {
  try {
    const uri = activeTextEditor()?.document.uri.toString();
    const choices = await vscode.window.withProgress(
      { location: vscode.ProgressLocation.Window, title: "Latent Workbench: loading the model" },
      () => parts.server.call("trainChoices", uri === undefined ? {} : { uri }),
    );
    const { folder } = await parts.server.call("createRun", await ask(choices));
    await startRun(parts, folder);
  } catch (error) {
    if (!(error instanceof Left)) throw error;
  }
}

interface Item<T> extends vscode.QuickPickItem {
  readonly value: T;
}

interface Asker {
  pick<T>(placeHolder: string, items: readonly (Item<T> | undefined)[]): Promise<T>;
  count(prompt: string, value: number): Promise<number>;
  /** A positive number, not always whole. */
  amount(prompt: string, value: number): Promise<number>;
}

/** Questions under one title, numbered. */
function asker(title: string, questions: number): Asker {
  let asked = 0;
  const input = async (
    prompt: string,
    value: string,
    read: { parse: (text: string) => number | undefined; expected: string },
  ): Promise<number> => {
    const typed = await vscode.window.showInputBox({
      title: numbered(),
      prompt,
      value,
      ignoreFocusOut: true,
      validateInput: (text) => (read.parse(text) === undefined ? read.expected : undefined),
    });
    const number = typed === undefined ? undefined : read.parse(typed);
    if (number === undefined) throw new Left();
    return number;
  };
  const numbered = (): string => `${title} (${Math.min(++asked, questions)}/${questions})`;
  return {
    pick: async (placeHolder, items) => {
      const there = items.filter((it) => it !== undefined);
      const chosen = await vscode.window.showQuickPick(there, {
        title: numbered(),
        placeHolder,
        matchOnDetail: true,
        ignoreFocusOut: true,
      });
      if (!chosen) throw new Left();
      return chosen.value;
    },
    count: (prompt, value) =>
      input(prompt, countText(value), {
        parse: parseCount,
        expected: "A number above 0, such as 4096, 500k or 2M",
      }),
    amount: (prompt, value) =>
      input(prompt, String(value), {
        parse: (text) => (Number(text) > 0 ? Number(text) : undefined),
        expected: "A number above 0, such as 0.5",
      }),
  };
}

/** k or L0; for an L1 penalty its weight, because no L0 can be aimed at with it. */
async function askForSparsity(
  ask: Asker,
  architecture: TrainArchitecture,
  row: string,
  l0: number,
): Promise<{ l0: number; l1?: number }> {
  if (architecture !== "standard" && architecture !== "gated")
    return { l0: await ask.count(`Active latents per ${row} (k or L0)`, l0) };
  return { l0, l1: await ask.amount("Weight of the L1 penalty; more means fewer latents", 2) };
}

function architectureItems(): Item<TrainArchitecture>[] {
  return architectures.map(({ architecture, name, detail }) => ({
    label: name,
    detail,
    value: architecture,
  }));
}

/** The hook point in use first, then the residual stream, MLPs and attention of every layer. */
function hookItems({ hook, lm }: TrainChoices): Item<string>[] {
  const rest = ["hook_resid_post", "hook_mlp_out", "hook_attn_out"].flatMap((kind) =>
    Array.from({ length: lm.layers }, (_, layer) => `blocks.${layer}.${kind}`),
  );
  return [
    { label: hook, description: "in use", value: hook },
    ...rest.filter((it) => it !== hook).map((it) => ({ label: it, value: it })),
  ];
}

async function askForCorpus(ask: Asker): Promise<string[]> {
  const active = activeTextEditor()?.document.uri;
  const file = active?.scheme === "file" ? active.fsPath : undefined;
  const chosen = await ask.pick<"files" | "folders" | string[]>("Corpus", [
    file === undefined
      ? undefined
      : { label: "$(file) The active file", description: file, value: [file] },
    { label: "$(files) Choose files…", detail: "text, Markdown or JSON Lines", value: "files" },
    { label: "$(folder) Choose a folder…", detail: "all text files in it", value: "folders" },
  ]);
  if (typeof chosen !== "string") return chosen;
  const picked = await vscode.window.showOpenDialog({
    canSelectFiles: chosen === "files",
    canSelectFolders: chosen === "folders",
    canSelectMany: true,
    openLabel: "Train on This",
    title: "Corpus",
  });
  if (!picked || picked.length === 0) throw new Left();
  return picked.map((uri) => uri.fsPath);
}

/** Bytes of files; undefined where a folder is among them, whose size nobody knows without a walk. */
async function sizeOf(paths: readonly string[]): Promise<number | undefined> {
  let bytes = 0;
  for (const path of paths) {
    const { size, type } = await vscode.workspace.fs.stat(vscode.Uri.file(path));
    if ((type & vscode.FileType.Directory) !== 0 || /\.gz$/i.test(path)) return undefined;
    bytes += size;
  }
  return bytes;
}

/** blocks.2.hook_resid_post as resid_post-2. */
function shortHook(hook: string): string {
  const match = /^blocks\.(\d+)\.(?:.*\.)?hook_(\w+)$/.exec(hook);
  return match ? `${match[2]}-${match[1]}` : hook.replaceAll(".", "-");
}
