/** The list of runs in the side bar. */
import * as vscode from "vscode";
import type { RunInfo, RunState } from "../server/protocol/runs.ts";
import { figuresText, isActive, mayStart, progressText } from "../server/protocol/runs-text.ts";
import type { Runs } from "./runs.ts";

const icons: Record<RunState, { icon: string; color?: string }> = {
  new: { icon: "circle-outline" },
  running: { icon: "loading~spin", color: "charts.blue" },
  stopping: { icon: "debug-pause", color: "charts.yellow" },
  stopped: { icon: "debug-pause" },
  finished: { icon: "pass", color: "testing.iconPassed" },
  failed: { icon: "error", color: "testing.iconFailed" },
};

/** Shows the list as long as it lives. */
export function showRunsView(runs: Runs): vscode.Disposable {
  const changed = new vscode.EventEmitter<void>();
  const view = vscode.window.createTreeView<RunInfo>("latentWorkbench.runs", {
    treeDataProvider: {
      onDidChangeTreeData: changed.event,
      getTreeItem: itemOf,
      getChildren: async (run) => (run ? [] : [...(await runs.known())]),
    },
    showCollapseAll: false,
  });
  const update = (): void => {
    const active = runs.list.filter(isActive).length;
    view.badge =
      active > 0 ? { value: active, tooltip: `${active} of the runs is training now` } : undefined;
    changed.fire();
  };
  return vscode.Disposable.from(view, changed, runs.onChanged(update));
}

function itemOf(run: RunInfo): vscode.TreeItem {
  const { folder, name, state } = run;
  const text = progressText(run);
  const item = new vscode.TreeItem(name);
  const { icon, color } = icons[state];
  item.id = folder;
  item.description = text;
  item.iconPath = new vscode.ThemeIcon(icon, color ? new vscode.ThemeColor(color) : undefined);
  item.tooltip = [`${name}: ${state}`, text, run.hook, ...run.saes.map(figuresText)]
    .filter(Boolean)
    .join("\n");
  item.contextValue = ["run", ...actionsOf(run)].join(" ");
  item.accessibilityInformation = { label: `${name}, ${state}, ${text}` };
  item.command =
    run.kind === "index"
      ? { command: "latentWorkbench.exploreLatents", title: "Explore Latents" }
      : {
          command: "latentWorkbench.openTrainingPage",
          title: "Open Training Page",
          arguments: [run],
        };
  return item;
}

/** What can be done with a run, as `viewItem` of the menus says it. */
function actionsOf(run: RunInfo): string[] {
  const actions = [];
  if (isActive(run)) actions.push("stoppable");
  else actions.push("deletable");
  if (mayStart(run)) actions.push("startable");
  if (run.saes.some((it) => it.path !== undefined)) actions.push("usable");
  return actions;
}
