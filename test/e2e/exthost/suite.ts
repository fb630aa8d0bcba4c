/** The extension from inside the extension host: what it registers, and what VS Code's own commands get from it. */
import assert from "node:assert/strict";
import * as vscode from "vscode";
import type { LatentWorkbenchApi } from "../../../client/extension.ts";

const extensionId = "latent-workbench.latent-workbench";

/** The tests by title, in order; the later ones stand on the document that the first one opens. */
export const tests: Readonly<Record<string, () => Promise<void>>> = {
  "the demo's text activates the extension and starts the server": async () => {
    await openEinstein();
    await eventually(() => extension().isActive, Boolean);
    await api().started();
  },

  "every command of package.json is there": async () => {
    const known = new Set(await vscode.commands.getCommands(true));
    const { commands } = (extension().packageJSON as Manifest).contributes;
    assert.ok(commands.length > 10);
    for (const { command } of commands) assert.ok(known.has(command), command);
  },

  "a hover lists latents, and its links run our commands only": async () => {
    const { document } = await openEinstein();
    const contents = await hoverAt(document, "stein");
    assert.match(contents.value, /L0 \d+/);
    assert.match(contents.value, /#\d+/);
    assert.match(contents.value, /command:latentWorkbench\.openTextPage/);
    const { isTrusted, supportHtml } = contents;
    assert.ok(typeof isTrusted === "object" && isTrusted.enabledCommands.length > 0);
    for (const command of isTrusted.enabledCommands) assert.match(command, /^latentWorkbench\./);
    assert.ok(!supportHtml);
  },

  "a hover is about the unsaved text": async () => {
    const editor = await openEinstein();
    const { document } = editor;
    await editor.edit((edit) => edit.insert(new vscode.Position(0, 0), "Yesterday "));
    const contents = await hoverAt(document, "Yesterday".slice(0, 3));
    assert.match(contents.value, /position 1\b/);
    assert.ok(document.isDirty);
    await vscode.commands.executeCommand("undo");
  },

  "a code lens sums the file up": async () => {
    const { document } = await openEinstein();
    await hoverAt(document, "stein");
    const title = await eventually(
      async () => {
        const lenses = await vscode.commands.executeCommand<vscode.CodeLens[]>(
          "vscode.executeCodeLensProvider",
          document.uri,
        );
        return lenses.map((lens) => lens.command?.title ?? "").join();
      },
      (it) => it.includes("mean L0"),
    );
    assert.match(title, /\d+ tokens/);
  },

  "inlay hints come with their setting": async () => {
    const { document } = await openEinstein();
    const settings = vscode.workspace.getConfiguration("latentWorkbench");
    assert.equal((await inlayHints(document)).length, 0);
    await settings.update("inlayHints.enabled", true, vscode.ConfigurationTarget.Global);
    const hints = await eventually(
      () => inlayHints(document),
      (it) => it.length > 10,
    );
    assert.ok(hints.length > 10);
    await settings.update("inlayHints.enabled", undefined, vscode.ConfigurationTarget.Global);
    await eventually(
      () => inlayHints(document),
      (it) => it.length === 0,
    );
  },

  "heat is painted in the visible lines, and taken away": async () => {
    const { document } = await openEinstein();
    const uri = document.uri.toString();
    await vscode.commands.executeCommand("latentWorkbench.showHeat", "activation");
    const spans = await eventually(
      async () => api().heat.spans(uri),
      (it) => it.length > 20,
    );
    assert.ok(spans.every((span) => span.heat > 0 && span.heat <= 1));
    await vscode.commands.executeCommand("latentWorkbench.showHeat", "off");
    assert.equal(api().heat.spans(uri).length, 0);
  },

  "a file is switched off and on": async () => {
    const { document } = await openEinstein();
    await vscode.commands.executeCommand("latentWorkbench.toggleFile");
    assert.equal((await hovers(document, "stein")).length, 0);
    await vscode.commands.executeCommand("latentWorkbench.toggleFile");
    await hoverAt(document, "stein");
  },

  "a file that no pattern matches is left alone until it is switched on": async () => {
    const document = await vscode.workspace.openTextDocument({
      content: "Isaac Newton sat under a tree.\n",
      language: "plaintext",
    });
    await vscode.window.showTextDocument(document);
    assert.equal((await hovers(document, "Newton")).length, 0);
    await vscode.commands.executeCommand("latentWorkbench.toggleFile");
    const contents = await hoverAt(document, "ton");
    assert.match(contents.value, /#\d+/);
  },

  "the demo text opens unsaved and is read at once": async () => {
    await vscode.commands.executeCommand("latentWorkbench.openDemo");
    const document = vscode.window.activeTextEditor?.document;
    assert.ok(document?.isUntitled);
    const contents = await hoverAt(document, "was");
    assert.match(contents.value, /#5088/);
  },

  "the text page opens beside the editor": async () => {
    await openEinstein();
    await vscode.commands.executeCommand("latentWorkbench.openTextPage");
    const tab = await eventually(
      async () => textPageTab(),
      (it) => it !== undefined,
    );
    assert.equal(tab?.label, "Tokens: einstein.txt");
    assert.notEqual(tab?.group.viewColumn, vscode.ViewColumn.One);
  },

  "the doctor reports in a document": async () => {
    await vscode.commands.executeCommand("latentWorkbench.doctor");
    const text = await eventually(
      async () => vscode.window.activeTextEditor?.document.getText() ?? "",
      (it) => it.includes("cpu"),
    );
    assert.match(text, /cpu/);
  },

  "a reader that is restarted answers again": async () => {
    const { document } = await openEinstein();
    await vscode.commands.executeCommand("latentWorkbench.restartReader");
    await hoverAt(document, "stein");
  },

  "latents.jsonc has a schema": async () => {
    const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
    assert.ok(folder);
    const uri = vscode.Uri.joinPath(folder, "latents.jsonc");
    const before = await vscode.workspace.fs.readFile(uri);
    const wrong = '{ "lm": 3, "sae": [], "pinned": [{ "sae": "x", "latent": -1 }] }';
    await vscode.workspace.fs.writeFile(uri, Buffer.from(wrong));
    await vscode.commands.executeCommand("latentWorkbench.createLatentsFile");
    assert.equal(vscode.window.activeTextEditor?.document.uri.toString(), uri.toString());
    const problems = await eventually(
      async () => vscode.languages.getDiagnostics(uri).map(({ message }) => message),
      (it) => it.length >= 3,
    );
    assert.ok(
      problems.some((it) => it.includes("sae")),
      problems.join("; "),
    );
    await vscode.workspace.fs.writeFile(uri, before);
  },
};

interface Manifest {
  readonly contributes: { readonly commands: readonly { readonly command: string }[] };
}

function extension(): vscode.Extension<LatentWorkbenchApi> {
  const found = vscode.extensions.getExtension<LatentWorkbenchApi>(extensionId);
  assert.ok(found, `${extensionId} is not installed`);
  return found;
}

function api(): LatentWorkbenchApi {
  return extension().exports;
}

async function openEinstein(): Promise<vscode.TextEditor> {
  const [uri] = await vscode.workspace.findFiles("prompts/einstein.txt");
  assert.ok(uri, "prompts/einstein.txt is not in the workspace");
  return vscode.window.showTextDocument(uri, { viewColumn: vscode.ViewColumn.One });
}

async function hovers(document: vscode.TextDocument, text: string): Promise<vscode.Hover[]> {
  const offset = document.getText().indexOf(text);
  assert.ok(offset >= 0, `no ${text} in ${document.getText()}`);
  const position = document.positionAt(offset);
  return vscode.commands.executeCommand("vscode.executeHoverProvider", document.uri, position);
}

/** The hover that tells of latents; waits for it, because a model is loaded once. */
async function hoverAt(
  document: vscode.TextDocument,
  text: string,
): Promise<vscode.MarkdownString> {
  const found = await eventually(
    async () => (await hovers(document, text))[0]?.contents[0] as vscode.MarkdownString | undefined,
    (it) => it?.value.includes("L0") === true,
  );
  assert.ok(found);
  return found;
}

function inlayHints(document: vscode.TextDocument): Thenable<vscode.InlayHint[]> {
  const all = new vscode.Range(0, 0, document.lineCount, 0);
  return vscode.commands.executeCommand("vscode.executeInlayHintProvider", document.uri, all);
}

function textPageTab(): vscode.Tab | undefined {
  const tabs = vscode.window.tabGroups.all.flatMap((group) => group.tabs);
  return tabs.find(
    ({ input }) =>
      input instanceof vscode.TabInputWebview && input.viewType.includes("latentWorkbench.text"),
  );
}

async function eventually<T>(
  read: () => T | PromiseLike<T>,
  accept: (value: T) => boolean,
  limit = 180_000,
): Promise<T> {
  const end = Date.now() + limit;
  for (;;) {
    const value = await read();
    if (accept(value)) return value;
    if (Date.now() > end) throw new Error(`still ${JSON.stringify(value)} after ${limit} ms`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
