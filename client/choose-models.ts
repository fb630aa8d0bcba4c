/** Choosing the language model and the SAEs: what the server has at hand, a folder, or the Hub. */
import * as vscode from "vscode";
import type { PageMethods } from "../server/protocol/page.ts";
import type { ClientParts } from "./client-parts.ts";
import { download } from "./download.ts";

type Found = ReturnType<PageMethods["available"]>["lms"][number];

interface Choice extends vscode.QuickPickItem {
  readonly path?: string;
  readonly action?: "browse" | "download";
}

const browse: Choice = {
  label: "$(folder-opened) Browse folder…",
  action: "browse",
  alwaysShow: true,
};
const fromHub: Choice = {
  label: "$(cloud-download) Download from the Hub…",
  action: "download",
  alwaysShow: true,
};

/** Asks for a language model and uses it from now on. */
export async function chooseLm(parts: ClientParts): Promise<void> {
  const { lms } = await parts.server.call("available", {});
  const found = lms.map(choiceOf);
  const actions: Choice[] = [
    { label: "From elsewhere", kind: vscode.QuickPickItemKind.Separator },
    browse,
    fromHub,
  ];
  const chosen = await vscode.window.showQuickPick([...found, ...actions], {
    title: "Language model",
    placeHolder: "The model that reads your texts",
    matchOnDescription: true,
    matchOnDetail: true,
  });
  if (!chosen) return;
  const path = await pathOf(parts, chosen);
  if (path === undefined) return;
  await parts.server.call("use", { lm: path });
  await rememberChoice(parts, "lm", isBundled(parts, path) ? undefined : path);
}

/** Asks for the SAEs, several at a time, and uses them from now on. */
export async function chooseSaes(parts: ClientParts): Promise<void> {
  const { saes } = await parts.server.call("available", {});
  const paths = await pickSaes(parts, saes);
  if (paths === undefined) return;
  await parts.server.call("use", { saes: paths });
  const onlyBundled = paths.every((path) => isBundled(parts, path));
  await rememberChoice(parts, "saes", onlyBundled ? undefined : paths);
}

/** A list with check boxes; the buttons beside its title bring SAEs from elsewhere into it. */
function pickSaes(parts: ClientParts, saes: readonly Found[]): Promise<string[] | undefined> {
  const picker = vscode.window.createQuickPick<Choice>();
  picker.title = "SAEs";
  picker.placeholder = "SAEs that read the model's activations; buttons above bring others";
  picker.canSelectMany = true;
  picker.matchOnDetail = true;
  picker.ignoreFocusOut = true;
  const browseButton = {
    iconPath: new vscode.ThemeIcon("folder-opened"),
    tooltip: "Browse folder",
  };
  const hubButton = {
    iconPath: new vscode.ThemeIcon("cloud-download"),
    tooltip: "Download from the Hub",
  };
  picker.buttons = [browseButton, hubButton];
  picker.items = saes.map(choiceOf);
  // A document's status would leave out the meta-SAEs among them.
  picker.selectedItems = picker.items.filter((_, index) => saes[index]?.inUse);
  const add = async (action: Choice): Promise<void> => {
    const selected = picker.selectedItems;
    const path = await pathOf(parts, action);
    picker.show();
    if (path === undefined) return;
    const item = {
      label: vscode.Uri.file(path).path.split("/").at(-1) ?? path,
      detail: path,
      path,
    };
    picker.items = [item, ...picker.items];
    picker.selectedItems = [item, ...selected];
  };
  return new Promise((resolve, reject) => {
    picker.onDidTriggerButton((button) => {
      add(button === browseButton ? browse : fromHub).catch((error: unknown) => {
        picker.dispose();
        reject(error instanceof Error ? error : new Error(String(error)));
      });
    });
    picker.onDidAccept(() => {
      resolve(picker.selectedItems.flatMap(({ path }) => (path === undefined ? [] : [path])));
      picker.dispose();
    });
    picker.onDidHide(() => {
      // Another input of ours may be in front; the list comes back after it.
      if (!vscode.window.state.focused) return;
      resolve(undefined);
    });
    picker.show();
  });
}

async function pathOf(parts: ClientParts, choice: Choice): Promise<string | undefined> {
  if (choice.action === "download") return download(parts);
  if (choice.action === undefined) return choice.path;
  const picked = await vscode.window.showOpenDialog({
    canSelectFiles: true,
    canSelectFolders: true,
    openLabel: "Use",
    title: "Folder or weight file",
  });
  return picked?.[0]?.fsPath;
}

function choiceOf({ id, detail, path, loaded, inUse }: Found): Choice {
  return { label: id, description: inUse ? "in use" : loaded ? "loaded" : "", detail, path };
}

/** The bundled demo is what no setting means. */
function isBundled({ context }: ClientParts, path: string): boolean {
  return path.startsWith(context.extensionPath);
}

/** Keeps a choice in the settings: the workspace's if a folder is open, else the user's. */
export async function rememberChoice(
  { log }: Pick<ClientParts, "log">,
  name: "lm" | "saes",
  value: string | string[] | undefined,
): Promise<void> {
  const target = vscode.workspace.workspaceFolders
    ? vscode.ConfigurationTarget.Workspace
    : vscode.ConfigurationTarget.Global;
  const settings = vscode.workspace.getConfiguration("latentWorkbench");
  await settings.update(name, value, target);
  log.info(`latentWorkbench.${name} is now ${JSON.stringify(value ?? "the bundled demo")}`);
}
