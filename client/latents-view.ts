/** Models, SAEs and pinned latents in the side bar. */
import * as vscode from "vscode";
import { isCancelled, unreachable } from "../server/base/errors.ts";
import type { ExplorerPin, ExplorerSae } from "../server/protocol/explorer.ts";
import type { Runs } from "./runs.ts";
import type { ServerConnection } from "./server-connection.ts";

type Node =
  | { readonly kind: "lm"; readonly id: string }
  | { readonly kind: "sae"; readonly sae: ExplorerSae }
  | { readonly kind: "pins" }
  | { readonly kind: "pin"; readonly pin: ExplorerPin };

const pauseMs = 500;

/** Shows the tree as long as it lives. */
export function showLatentsView(
  server: ServerConnection,
  runs: Runs,
  log: vscode.LogOutputChannel,
): vscode.Disposable {
  const changed = new vscode.EventEmitter<void>();
  let known: { lm: string; saes: ExplorerSae[]; pinned: ExplorerPin[] } | undefined;
  let timer: NodeJS.Timeout | undefined;
  const load = async (): Promise<void> => {
    try {
      known = await server.call("explorerSaes", {});
    } catch (error) {
      known = undefined;
      if (!isCancelled(error)) log.warn(`latents: ${String(error)}`);
    }
  };
  const children = async (node?: Node): Promise<Node[]> => {
    if (!node) {
      await load();
      if (!known) return [];
      const { lm, pinned } = known;
      return [{ kind: "lm", id: lm }, ...(pinned.length > 0 ? [{ kind: "pins" } as const] : [])];
    }
    const { saes = [], pinned = [] } = known ?? {};
    if (node.kind === "pins") return pinned.map((pin) => ({ kind: "pin", pin }));
    const parent = node.kind === "sae" ? node.sae.id : undefined;
    if (node.kind === "pin") return [];
    return saes.filter((it) => it.metaOf === parent).map((sae) => ({ kind: "sae", sae }));
  };
  const view = vscode.window.createTreeView<Node>("latentWorkbench.latents", {
    treeDataProvider: {
      onDidChangeTreeData: changed.event,
      getTreeItem: (node) => itemOf(node, known?.saes ?? []),
      getChildren: children,
    },
  });
  const later = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => view.visible && changed.fire(), pauseMs);
  };
  return vscode.Disposable.from(
    view,
    changed,
    { dispose: () => clearTimeout(timer) },
    server.onChanged(later),
    runs.onStateChanged(later),
    view.onDidChangeVisibility(({ visible }) => visible && changed.fire()),
  );
}

function itemOf(node: Node, saes: readonly ExplorerSae[]): vscode.TreeItem {
  const { Expanded: open, None: none } = vscode.TreeItemCollapsibleState;
  switch (node.kind) {
    case "lm": {
      const item = new vscode.TreeItem(node.id, open);
      item.iconPath = new vscode.ThemeIcon("chip");
      item.tooltip = `Language model ${node.id}`;
      return item;
    }
    case "sae":
      return saeItem(node.sae, saes.some((it) => it.metaOf === node.sae.id) ? open : none);
    case "pins": {
      const item = new vscode.TreeItem("Pinned", open);
      item.iconPath = new vscode.ThemeIcon("pinned");
      return item;
    }
    case "pin": {
      const { sae, latent, label, colour } = node.pin;
      const item = new vscode.TreeItem(`#${latent}`, none);
      item.description = label ?? sae;
      item.tooltip = `Latent ${latent} of ${sae}${label === undefined ? "" : `: ${label}`}`;
      item.iconPath = new vscode.ThemeIcon(
        "pin",
        new vscode.ThemeColor(`latentWorkbench.pin${colour}`),
      );
      item.contextValue = "pin";
      item.command = explore({ sae, latent });
      return item;
    }
    default:
      return unreachable(node);
  }
}

function saeItem(sae: ExplorerSae, state: vscode.TreeItemCollapsibleState): vscode.TreeItem {
  const item = new vscode.TreeItem(sae.id, state);
  const { index, metaOf, problem } = sae;
  const what = metaOf === undefined ? "latents" : "meta-latents";
  const tokens = index === undefined ? "" : `, index of ${index.tokens} tokens`;
  item.description = `${sae.d_sae} ${what}${tokens}`;
  item.tooltip = [`${sae.architecture} SAE at ${sae.hook}`, item.description, problem]
    .filter(Boolean)
    .join("\n");
  item.iconPath = new vscode.ThemeIcon(metaOf === undefined ? "symbol-array" : "symbol-namespace");
  item.contextValue = metaOf === undefined ? "sae" : "meta";
  if (metaOf === undefined) item.command = explore({ sae: sae.id });
  return item;
}

function explore(argument: { sae: string; latent?: number }): vscode.Command {
  return {
    command: "latentWorkbench.exploreLatents",
    title: "Explore Latents",
    arguments: [argument],
  };
}
