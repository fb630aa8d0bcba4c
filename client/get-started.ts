/** The first minutes: the walkthrough, and a text of the demo to hover. */
import * as vscode from "vscode";

/** Switches the reading of an unsaved text on. */
const frontMatter = "---\nlatent-workbench:\n  contexts: file\n---\n";

/** Opens the walkthrough of package.json. */
export async function getStarted({ extension }: vscode.ExtensionContext): Promise<void> {
  const walkthrough = `${extension.id}#start`;
  await vscode.commands.executeCommand("workbench.action.openWalkthrough", walkthrough, false);
}

/** Opens a copy of the bundled text, which nobody has to save, with its latents switched on. */
export async function openDemo({ extensionUri }: vscode.ExtensionContext): Promise<void> {
  const uri = vscode.Uri.joinPath(extensionUri, "demo/prompts/einstein.txt");
  const text = new TextDecoder().decode(await vscode.workspace.fs.readFile(uri));
  const document = await vscode.workspace.openTextDocument({
    language: "markdown",
    content: frontMatter + text,
  });
  await vscode.window.showTextDocument(document);
}
