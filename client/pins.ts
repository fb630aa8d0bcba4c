/**
 * Pinned latents as the window shows them: an item in the status bar for each, in its colour, which is the legend of the heat; and the
 * list behind them.
 */
import * as vscode from "vscode";
import { isCancelled } from "../server/base/errors.ts";
import { maxPins, type ShownPin } from "../server/protocol/pins.ts";
import type { ClientParts } from "./client-parts.ts";
import type { HeatDecorations } from "./heat-decorations.ts";
import type { ServerConnection } from "./server-connection.ts";

/** Quiet time before the server is asked again: documents change with every keystroke, pins seldom. */
const pauseMs = 150;

/** The names of the colours, for those who do not see them. */
const colourNames = ["orange, solid", "blue, dashed", "green, dotted", "purple, double"];

/** Shows the items as long as it lives. */
export function showPins(
  server: ServerConnection,
  heat: HeatDecorations,
  log: vscode.LogOutputChannel,
): vscode.Disposable {
  const items = Array.from({ length: maxPins }, (_, at) => {
    const item = vscode.window.createStatusBarItem(
      `latentWorkbench.pin${at + 1}`,
      vscode.StatusBarAlignment.Right,
      89 - at / 10,
    );
    item.name = `Latent Workbench: pinned latent ${at + 1}`;
    item.command = "latentWorkbench.managePins";
    item.color = new vscode.ThemeColor(`latentWorkbench.pin${at + 1}`);
    return item;
  });
  const update = async (): Promise<void> => {
    const pins = heat.shown === "pinned" ? (await server.call("pins", {})).pins : [];
    for (const [at, item] of items.entries()) {
      const pin = pins.find(({ colour }) => colour === at + 1);
      if (pin) draw(item, pin);
      else item.hide();
    }
  };
  let timer: NodeJS.Timeout | undefined;
  const soon = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      update().catch((error: unknown) => {
        if (!isCancelled(error)) log.debug(`pins: ${String(error)}`);
      });
    }, pauseMs);
  };
  return vscode.Disposable.from(
    ...items,
    { dispose: () => clearTimeout(timer) },
    server.onChanged(soon),
    heat.onShown(soon),
  );
}

function draw(item: vscode.StatusBarItem, pin: ShownPin): void {
  item.text = `$(pinned) #${pin.latent}`;
  item.tooltip = new vscode.MarkdownString().appendText(
    `${nameOf(pin)}\nup to ${pin.max.toPrecision(3)}; click for all pinned latents`,
  );
  item.accessibilityInformation = { label: `Pinned ${nameOf(pin)}`, role: "button" };
  item.show();
}

interface PinItem extends vscode.QuickPickItem {
  readonly pin?: ShownPin;
}

/** Lists the pinned latents: choosing one explores it, its button unpins it. */
export async function managePins({ server }: ClientParts): Promise<void> {
  const unpinButton = { iconPath: new vscode.ThemeIcon("close"), tooltip: "Unpin" };
  const picker = vscode.window.createQuickPick<PinItem>();
  picker.title = "Pinned latents";
  picker.placeholder = "Choose one to explore it; its button unpins it";
  const list = async (): Promise<void> => {
    const { pins } = await server.call("pins", {});
    const more: PinItem = { label: "$(pin) Pin a latent…" };
    picker.items = [
      ...pins.map((pin) => ({ ...itemOf(pin), buttons: [unpinButton] })),
      ...(pins.length < maxPins ? [more] : []),
    ];
  };
  await list();
  picker.onDidTriggerItemButton(async ({ item: { pin } }) => {
    if (pin) await server.call("unpin", { sae: pin.sae, latent: pin.latent });
    await list();
  });
  picker.onDidAccept(() => {
    const [chosen] = picker.selectedItems;
    picker.hide();
    if (!chosen) return;
    const { pin } = chosen;
    const command = pin ? "exploreLatents" : "pinLatent";
    const argument = pin && { sae: pin.sae, latent: pin.latent };
    void vscode.commands.executeCommand(`latentWorkbench.${command}`, argument);
  });
  picker.onDidHide(() => picker.dispose());
  picker.show();
}

/** Asks which of the pinned latents another one shall replace. */
export async function askForPin(server: ServerConnection): Promise<ShownPin | undefined> {
  const { pins } = await server.call("pins", {});
  const chosen = await vscode.window.showQuickPick(pins.map(itemOf), {
    title: `${maxPins} latents are pinned, one for each colour`,
    placeHolder: "The one to replace",
  });
  return chosen?.pin;
}

function itemOf(pin: ShownPin): PinItem & { pin: ShownPin } {
  return {
    pin,
    label: `#${pin.latent}`,
    description: colourNames[pin.colour - 1] ?? "",
    detail: pin.label ?? pin.sae,
  };
}

function nameOf({ latent, sae, label, colour }: ShownPin): string {
  const what = label === undefined ? "" : `: ${label}`;
  return `latent ${latent} of ${sae}${what} (${colourNames[colour - 1]})`;
}
