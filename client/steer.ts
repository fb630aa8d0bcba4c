/** The command that steers: asks for a latent, what is done to it, how strongly and where, and shows both texts in a diff editor. */
import * as vscode from "vscode";
import type { PageSteerStep, SteerText } from "../server/protocol/page-causes.ts";
import { tokenAtCursor, type TokenOfDocument, tokenOf } from "./attribute-next.ts";
import { asRecord, type ClientParts } from "./client-parts.ts";
import { askForLatent, type LatentName } from "./pin-latent.ts";

const title = "Steer";
const maxNewTokens = 48;

type Mode = PageSteerStep["mode"];

interface Choice<T> extends vscode.QuickPickItem {
  readonly value: T;
}

const modes: readonly Choice<Mode>[] = [
  { value: "add", label: "Add", detail: "activation + amount, whether it fires or not" },
  { value: "clamp", label: "Clamp", detail: "activation = amount, whether it fires or not" },
  { value: "scale", label: "Scale", detail: "activation × amount, where it fires" },
  { value: "ablate", label: "Ablate", detail: "activation = 0" },
];

/** Steers with the latent of an argument, or asks for one. */
export async function steer(parts: ClientParts, argument?: unknown): Promise<void> {
  const token = tokenOf(argument) ?? (await tokenAtCursor(parts));
  const chosen = latentOf(argument) ?? (await askForLatent(parts, title));
  if (!chosen) return;
  const kind = asRecord(argument)["kind"] === "meta-latent" ? "meta-latent" : "latent";
  const mode = await pick(modes, `What to do with ${kind} ${chosen.latent}`);
  if (mode === undefined) return;
  const amount =
    mode === "ablate" ? 0 : await askForAmount(mode, parts, token, { ...chosen, kind });
  if (amount === undefined) return;
  const where = await pick(placesOf(token), "Where");
  if (where === undefined) return;
  const index = await pick(endsOf(token), `The model writes ${maxNewTokens} tokens on`);
  if (index === undefined) return;
  const keepError = await pick(errors, "What the SAE does not explain");
  if (keepError === undefined) return;
  const found = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title: "Steering", cancellable: true },
    (progress, cancelled) => {
      const controller = new AbortController();
      cancelled.onCancellationRequested(() => controller.abort());
      const params: SteerText = {
        uri: token.uri,
        context: token.context,
        ...(index === null ? {} : { index }),
        sae: chosen.sae,
        steps: [{ kind, latent: chosen.latent, mode, amount }],
        positions: where,
        keepError,
        maxNewTokens,
        temperature: 0,
        seed: 0,
      };
      let done = 0;
      return parts.server.call("steerText", params, {
        signal: controller.signal,
        onProgress: (message, percentage = done) => {
          progress.report({ message, increment: Math.max(0, percentage - done) });
          done = Math.max(done, percentage);
        },
      });
    },
  );
  await parts.steered.show(found);
}

function latentOf(argument: unknown): LatentName | undefined {
  const { sae, latent } = asRecord(argument);
  return typeof sae === "string" && typeof latent === "number" ? { sae, latent } : undefined;
}

function placesOf({ index }: TokenOfDocument): Choice<SteerText["positions"]>[] {
  return [
    {
      value: "all",
      label: "Everywhere",
      detail: "the text but for its first token, and what is written",
    },
    { value: "generated", label: "Only what is written" },
    { value: "prompt", label: "Only the text" },
    { value: [[index, index + 1]], label: "Only the token at the cursor" },
  ];
}

/** The token after which the model writes; null for the last. */
function endsOf({ index }: TokenOfDocument): Choice<number | null>[] {
  return [
    { value: null, label: "After the end of the text" },
    { value: index, label: "After the token at the cursor" },
  ];
}

const errors: readonly Choice<boolean>[] = [
  { value: true, label: "Keep it", detail: "nothing but the latent changes" },
  {
    value: false,
    label: "Leave it out",
    detail: "the model reads the SAE's reconstruction where it is steered",
  },
];

async function askForAmount(
  mode: Mode,
  { server }: ClientParts,
  { uri, context, index }: TokenOfDocument,
  { sae, latent, kind }: LatentName & Pick<PageSteerStep, "kind">,
): Promise<number | undefined> {
  const card = await server.call("tokenCard", { uri, context, index, sae });
  const here = kind === "latent" && card.latents.find((it) => it.latent === latent);
  const largest = here && here.share > 0 ? Math.abs(here.activation) / here.share : undefined;
  const usual = largest ?? card.latents[0]?.activation ?? 10;
  const answer = await vscode.window.showInputBox({
    title,
    prompt: here
      ? `Amount; the activation at this token is ${here.activation.toPrecision(3)}, the largest seen ${largest?.toPrecision(3)}`
      : `Amount; ${kind === "latent" ? "the latent is silent at this token, whose" : "the token's"} strongest latent has ${usual.toPrecision(3)}`,
    value: mode === "scale" ? "2" : Number(usual.toPrecision(2)).toString(),
    validateInput: (text) =>
      text.trim() !== "" && Number.isFinite(Number(text)) ? undefined : "a number, as 8 or -2.5",
  });
  return answer === undefined ? undefined : Number(answer);
}

async function pick<T>(choices: readonly Choice<T>[], placeHolder: string): Promise<T | undefined> {
  const chosen = await vscode.window.showQuickPick(choices, { title, placeHolder });
  return chosen?.value;
}
