/** The words of the status bar item. */
import type { DocumentStatus } from "../server/protocol/page.ts";

const longest = 44;

const icons: Record<DocumentStatus["state"], string> = {
  ready: "$(telescope)",
  working: "$(loading~spin)",
  off: "$(circle-slash)",
  failed: "$(warning)",
};

/** One line: icon, language model, SAEs and device, no longer than a status bar bears. */
export function statusText(status: DocumentStatus | undefined): string {
  if (!status) return "$(telescope) Latent Workbench";
  if (status.state === "off") return `${icons.off} Latents: off`;
  const parts = [status.lm, saesText(status.saes), status.device].filter((part) => part);
  if (parts.length === 0) return `${icons[status.state]} Latent Workbench`;
  return `${icons[status.state]} ${shorten(parts.join(" · "))}`;
}

/** What a screen reader says for it. */
export function statusLabel(status: DocumentStatus | undefined): string {
  if (!status) return "Latent Workbench";
  const parts = [
    `Latent Workbench: ${status.state}`,
    status.lm && `language model ${status.lm}`,
    status.saes.length > 0 && `SAE ${status.saes.join(", ")}`,
    status.device && `on ${status.device}`,
    status.text,
  ];
  return parts.filter((part) => part).join(", ");
}

function saesText(saes: readonly string[]): string | undefined {
  return saes.length > 1 ? `${saes[0]} +${saes.length - 1}` : saes[0];
}

function shorten(text: string): string {
  const characters = Array.from(text);
  return characters.length <= longest ? text : `${characters.slice(0, longest - 1).join("")}…`;
}
