/** The host of a page about decoders, and what a model of such a page tells of failures. */
import type {
  DecoderHostMethods,
  DecoderPageMethods,
} from "../../server/protocol/decoder-pages.ts";
import { Caller } from "../../server/protocol/rpc.ts";

/** The table that these pages call. */
export type DecoderTable = DecoderPageMethods & DecoderHostMethods;

/** Where calls go. */
export type DecoderHost = Pick<Caller<DecoderTable>, "call">;

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

/** A failure for people; undefined for what was cancelled. */
export function problemText(error: unknown): string | undefined {
  if ((error as Error).name === "AbortError") return undefined;
  return error instanceof Error ? error.message : String(error);
}
