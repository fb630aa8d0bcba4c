/** A file as of the last commit, by VS Code's own git extension. */
import * as vscode from "vscode";
import { UserError } from "../server/base/errors.ts";

/** What we use of the git extension's interface, version 1. */
interface Git {
  getRepository(uri: vscode.Uri): Repository | null;
  openRepository?(root: vscode.Uri): Promise<Repository | null>;
}

interface Repository {
  show(ref: string, path: string): Promise<string>;
}

/** The text of a document's file in git HEAD, with the line ends that the document has. */
export async function textInHead(document: vscode.TextDocument): Promise<string> {
  const { uri } = document;
  if (uri.scheme !== "file")
    throw new UserError("no-git", `${uri.path} is not a file on the disk: git knows nothing of it`);
  const git = await gitExtension();
  const folder = vscode.workspace.getWorkspaceFolder(uri)?.uri ?? vscode.Uri.joinPath(uri, "..");
  const repository = git.getRepository(uri) ?? (await git.openRepository?.(folder)) ?? undefined;
  if (!repository)
    throw new UserError("no-git", `${uri.fsPath} is in no git repository that VS Code has open`);
  const text = await repository.show("HEAD", uri.fsPath).catch((error: unknown) => {
    throw new UserError(
      "not-in-head",
      `git HEAD has no ${uri.fsPath}: commit the file first, or compare it with another one`,
      { cause: error },
    );
  });
  // Git may keep other line ends than the working tree has; the model would read them.
  const ends = document.eol === vscode.EndOfLine.CRLF ? "\r\n" : "\n";
  return text.replaceAll(/\r\n|\n/g, ends);
}

async function gitExtension(): Promise<Git> {
  const found = vscode.extensions.getExtension<{ getAPI(version: 1): Git }>("vscode.git");
  if (!found) throw noGit();
  try {
    return (await found.activate()).getAPI(1);
  } catch (error) {
    throw noGit(error);
  }
}

function noGit(cause?: unknown): UserError {
  return new UserError(
    "no-git",
    "VS Code's git extension is off or found no git: install git, and switch on the setting git.enabled",
    { cause },
  );
}
