/** Downloads from the Hugging Face Hub, asked for by the user, with progress and a way to stop. */
import * as vscode from "vscode";
import type { ClientParts } from "./client-parts.ts";
import { parseHubAddress } from "./hub-address.ts";

const secretKey = "latentWorkbench.hubToken";

/** Asks for a repository and downloads it; returns the folder, or undefined when the user left. */
export async function download(parts: ClientParts): Promise<string | undefined> {
  const answer = await vscode.window.showInputBox({
    title: "Download from the Hugging Face Hub",
    prompt: "Repository, with @revision and :folder or :file where only a part is wanted",
    placeHolder: "HuggingFaceTB/SmolLM2-135M",
    ignoreFocusOut: true,
    validateInput: (text) =>
      parseHubAddress(text) ? undefined : "owner/name, owner/name@revision or owner/name:folder",
  });
  const address = parseHubAddress(answer ?? "");
  if (!address) return undefined;
  const token = await parts.context.secrets.get(secretKey);
  const controller = new AbortController();
  const folder = await vscode.window.withProgress(
    {
      location: vscode.ProgressLocation.Notification,
      title: `Downloading ${address.repo}`,
      cancellable: true,
    },
    async (progress, cancelled) => {
      cancelled.onCancellationRequested(() => controller.abort());
      let done = 0;
      const onProgress = (message: string, percentage?: number): void => {
        const increment = percentage === undefined ? 0 : Math.max(0, percentage - done);
        done += increment;
        progress.report({ message, increment });
      };
      const params = { ...address, ...(token ? { token } : {}) };
      const result = await parts.server.call("download", params, {
        signal: controller.signal,
        onProgress,
      });
      return result.folder;
    },
  );
  const name = address.repo;
  const text = `${name} is on this machine now: ${folder}`;
  parts.log.info(text);
  void vscode.window.showInformationMessage(text);
  return folder;
}

/** Keeps a Hub token in the editor's secret storage, or forgets it when the answer is empty. */
export async function setHubToken({ context }: ClientParts): Promise<void> {
  const token = await vscode.window.showInputBox({
    title: "Hugging Face token",
    prompt: "For gated and private repositories. Kept in the secret storage; empty forgets it",
    password: true,
    ignoreFocusOut: true,
    validateInput: (text) => (/\s/.test(text.trim()) ? "a token has no blanks" : undefined),
  });
  if (token === undefined) return;
  if (token.trim() === "") await context.secrets.delete(secretKey);
  else await context.secrets.store(secretKey, token.trim());
}
