/** VS Code tasks of type `latentWorkbench.train`: a run as a task, with its progress in a terminal. */
import * as vscode from "vscode";
import type { RunInfo } from "../server/protocol/runs.ts";
import { figuresText, isActive, mayStart, progressText } from "../server/protocol/runs-text.ts";
import type { Runs } from "./runs.ts";
import type { ServerConnection } from "./server-connection.ts";

const type = "latentWorkbench.train";

/** Offers the runs that can be started, and runs tasks that name a run file or the folder of a run. */
export function provideTrainTasks(runs: Runs, server: ServerConnection): vscode.Disposable {
  const taskOf = (
    definition: vscode.TaskDefinition,
    name: string,
    scope: vscode.Task["scope"],
  ): vscode.Task =>
    new vscode.Task(
      definition,
      scope ?? vscode.TaskScope.Workspace,
      name,
      "latent workbench",
      new vscode.CustomExecution(() =>
        Promise.resolve(new TrainTerminal(String(definition["run"] ?? ""), runs, server)),
      ),
    );
  return vscode.tasks.registerTaskProvider(type, {
    provideTasks: async () => {
      const startable = (await runs.known()).filter(mayStart);
      return startable.map(({ folder, name }) =>
        taskOf({ type, run: vscode.workspace.asRelativePath(folder) }, `train ${name}`, undefined),
      );
    },
    resolveTask: ({ definition, name, scope }) => taskOf(definition, name, scope),
  });
}

/** Starts a run when it is opened, prints how it goes, and stops it when the task is ended. */
class TrainTerminal implements vscode.Pseudoterminal {
  readonly #write = new vscode.EventEmitter<string>();
  readonly #close = new vscode.EventEmitter<number>();
  readonly #named: string;
  readonly #runs: Runs;
  readonly #server: ServerConnection;
  #subscription: vscode.Disposable | undefined;
  #folder: string | undefined;
  #printed = "";
  readonly onDidWrite = this.#write.event;
  readonly onDidClose = this.#close.event;

  constructor(named: string, runs: Runs, server: ServerConnection) {
    this.#named = named;
    this.#runs = runs;
    this.#server = server;
  }

  open(): void {
    this.#start().catch((error: unknown) => {
      this.#print(error instanceof Error ? error.message : String(error));
      this.#end(1);
    });
  }

  close(): void {
    this.#subscription?.dispose();
    const run = this.#folder === undefined ? undefined : this.#runs.find(this.#folder);
    if (run && isActive(run)) void this.#server.call("stopRun", { folder: run.folder });
  }

  async #start(): Promise<void> {
    const path = this.#path();
    const isFile = /\.jsonc?$/i.test(path);
    const file = isFile ? path : `${path}/run.jsonc`;
    const { folder } = await this.#server.call("adoptRun", { file });
    this.#folder = folder;
    await this.#server.call("startRun", { folder });
    this.#print(`training in ${folder}`);
    this.#subscription = this.#runs.onChanged(() => this.#follow());
    await this.#runs.refresh();
  }

  #path(): string {
    const [first] = vscode.workspace.workspaceFolders ?? [];
    const isAbsolute = /^(\/|[a-z]:|\\\\)/i.test(this.#named);
    return isAbsolute || !first ? this.#named : vscode.Uri.joinPath(first.uri, this.#named).fsPath;
  }

  #follow(): void {
    const run = this.#folder === undefined ? undefined : this.#runs.find(this.#folder);
    if (!run) return;
    this.#print(lineOf(run));
    if (!isActive(run)) this.#end(run.state === "finished" ? 0 : 1);
  }

  #print(line: string): void {
    if (line === this.#printed) return;
    this.#printed = line;
    this.#write.fire(`${line.replaceAll("\n", "\r\n")}\r\n`);
  }

  #end(code: number): void {
    this.#subscription?.dispose();
    this.#close.fire(code);
  }
}

function lineOf(run: RunInfo): string {
  return [progressText(run), ...run.saes.map(figuresText)].join("; ");
}
