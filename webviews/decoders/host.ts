/** The host of a page about decoders or absorption. */
import { Caller } from "../../server/protocol/rpc.ts";
import type { DecoderHost, DecoderTable } from "./decoder-host.ts";

declare function acquireVsCodeApi(): { postMessage(message: unknown): void };

/** Connects to the editor; once per page. */
export function connect(): DecoderHost {
  const editor = acquireVsCodeApi();
  return new Caller<DecoderTable>({
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- the editor's own function, not a window's
    post: (message) => editor.postMessage(message),
    onMessage: (listener) =>
      window.addEventListener("message", (message) => listener(message.data)),
  });
}

/** Draws now and whenever the theme changes, whose colours charts take when they are made. */
export function drawing(draw: () => void): void {
  new MutationObserver(draw).observe(document.body, {
    attributes: true,
    attributeFilter: ["class", "data-vscode-theme-id"],
  });
  draw();
}
