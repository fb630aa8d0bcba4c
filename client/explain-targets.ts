/** Who explains latents: the language models that VS Code offers, or the endpoint of the settings. */
import * as vscode from "vscode";
import { UserError } from "../server/base/errors.ts";
import { askEndpoint, checkEndpoint } from "../server/chat/endpoint.ts";
import type { ExplainQuestion } from "../server/protocol/explain.ts";
import type { ClientParts } from "./client-parts.ts";

/** A model to ask. */
export interface ExplainTarget {
  /** Name of the model, as labels say by whom they were generated. */
  readonly model: string;
  readonly name: string;
  /** Where texts go. */
  readonly place: string;
  /** Sends one question. To be called with the user's consent only. */
  readonly ask: (
    question: ExplainQuestion,
    signal: AbortSignal,
    onWait: (text: string) => void,
  ) => Promise<string>;
}

interface Choice extends vscode.QuickPickItem {
  readonly target?: ExplainTarget;
}

/** Lets the user choose; undefined when there is none yet and the settings are opened instead. */
export async function chooseTarget(parts: ClientParts): Promise<ExplainTarget | undefined> {
  const { endpoint, model } = await parts.server.call("explainTarget", {});
  const models = await editorModels();
  const choices: Choice[] = [
    ...models.map((it) => ({
      label: it.name,
      description: `a language model of VS Code, by ${it.vendor}`,
      target: editorTarget(it),
    })),
    ...(endpoint !== "" && model !== ""
      ? [{ label: model, description: endpoint, target: endpointTarget(parts, endpoint, model) }]
      : []),
    { label: "$(gear) Name an endpoint in the settings…" },
  ];
  const chosen = await vscode.window.showQuickPick(choices, {
    title: "Explain latents: which language model",
    placeHolder: "Nothing is sent before you have seen it and agreed",
  });
  if (chosen && !chosen.target)
    await vscode.commands.executeCommand(
      "workbench.action.openSettings",
      "latentWorkbench.explain",
    );
  return chosen?.target;
}

/** Language models that VS Code offers; editors that are built on an older one have no such thing. */
async function editorModels(): Promise<readonly vscode.LanguageModelChat[]> {
  const { lm } = vscode as { lm?: typeof vscode.lm };
  return (await lm?.selectChatModels()) ?? [];
}

/** Asks for the key of an endpoint; an empty answer forgets it. True if the user answered. */
export async function storeKey({ context }: ClientParts, endpoint: string): Promise<boolean> {
  const url = checkEndpoint(endpoint);
  const key = await vscode.window.showInputBox({
    title: `Key of ${url}`,
    prompt: "Kept in the secret storage and sent to this address only; empty forgets it",
    password: true,
    ignoreFocusOut: true,
    validateInput: (text) => (/\s/.test(text.trim()) ? "a key has no blanks" : undefined),
  });
  if (key === undefined) return false;
  if (key.trim() === "") await context.secrets.delete(secretOf(url));
  else await context.secrets.store(secretOf(url), key.trim());
  return true;
}

/** Each address has a key of its own: another address in the settings gets no key that was meant for this one. */
function secretOf(url: string): string {
  return `latentWorkbench.explainKey:${url}`;
}

function endpointTarget({ context }: ClientParts, endpoint: string, model: string): ExplainTarget {
  return {
    model,
    name: model,
    place: endpoint,
    ask: async ({ messages, maxTokens }, signal, onWait) => {
      const url = checkEndpoint(endpoint);
      const key = await context.secrets.get(secretOf(url));
      return askEndpoint({ url, model, key }, { messages, maxTokens }, { signal, onWait });
    },
  };
}

function editorTarget(model: vscode.LanguageModelChat): ExplainTarget {
  return {
    model: model.id,
    name: model.name,
    place: `through VS Code to ${model.vendor}`,
    ask: async ({ messages }, signal) => {
      const source = new vscode.CancellationTokenSource();
      const cancel = (): void => source.cancel();
      signal.addEventListener("abort", cancel, { once: true });
      try {
        // There are no system messages: they go first, as the user's.
        const said = messages.map(({ role, content }) =>
          role === "assistant"
            ? vscode.LanguageModelChatMessage.Assistant(content)
            : vscode.LanguageModelChatMessage.User(content),
        );
        const justification = "to explain what latents of a sparse autoencoder stand for";
        const response = await model.sendRequest(said, { justification }, source.token);
        let text = "";
        for await (const piece of response.text) text += piece;
        return text;
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof vscode.LanguageModelError)
          throw new UserError(
            "language-model",
            `${model.name} does not answer (${error.code}): ${error.message}; what was answered before is kept`,
          );
        throw error;
      } finally {
        signal.removeEventListener("abort", cancel);
        source.dispose();
      }
    },
  };
}
