import * as vscode from "vscode";
import { UserError } from "../server/base/errors.ts";

const content = `// What Latent Workbench uses in this workspace. Every entry is optional; the editor completes them.
{
  // Folder, .gguf file or Hub id of the language model that reads your texts.
  // "lm": "models/my-lm",

  // SAEs on it: paths, or objects that give a name and the facts that the format does not store.
  // "saes": [
  //   "saes/resid8-16k",
  //   { "path": "saes/other", "name": "other", "facts": { "hook": "blocks.8.hook_resid_post", "k": 32 } }
  // ],

  // Latents whose heat is shown from the start.
  "pinned": [],

  // What latents stand for: SAE id, latent, label.
  "labels": {}
}
`;

/** Writes `latents.jsonc` into the first workspace folder unless it is there, and opens it. */
export async function createLatentsFile(): Promise<void> {
  const folder = vscode.workspace.workspaceFolders?.[0];
  if (!folder) {
    throw new UserError(
      "no-folder-open",
      "latents.jsonc belongs to a workspace and no folder is open: open a folder first",
    );
  }
  const uri = vscode.Uri.joinPath(folder.uri, "latents.jsonc");
  if (!(await exists(uri))) await vscode.workspace.fs.writeFile(uri, Buffer.from(content));
  await vscode.window.showTextDocument(uri);
}

async function exists(uri: vscode.Uri): Promise<boolean> {
  try {
    await vscode.workspace.fs.stat(uri);
    return true;
  } catch {
    return false;
  }
}
