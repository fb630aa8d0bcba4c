/** What every page has of its editor: calls with their answers, events, what it remembered, the theme. */
import { Caller } from "../server/protocol/rpc.ts";
// oxlint-disable-next-line import/no-unassigned-import -- esbuild writes the style sheet beside the script
import "./page.css";

declare function acquireVsCodeApi(): {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: unknown): void;
};

/** A page's editor. */
export interface EditorHost<Table> {
  readonly caller: Caller<Table>;
  /** What `remember` was told last, also before a reload of the window. */
  readonly remembered: unknown;
  readonly remember: (state: unknown) => void;
}

/** Connects to the editor; once per page. */
export function connectEditor<Table>(
  onEvent: (event: string, params: unknown) => void = () => {},
): EditorHost<Table> {
  const editor = acquireVsCodeApi();
  const caller = new Caller<Table>(
    {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- the editor's own function, not a window's
      post: (message) => editor.postMessage(message),
      onMessage: (listener) =>
        window.addEventListener("message", (message) => listener(message.data)),
    },
    onEvent,
  );
  return {
    caller,
    remembered: editor.getState(),
    remember: (state) => editor.setState(state),
  };
}

/** Draws whenever the theme changes, whose colours charts take when they are made. */
export function drawOnTheme(draw: () => void): void {
  new MutationObserver(draw).observe(document.body, {
    attributes: true,
    attributeFilter: ["class", "data-vscode-theme-id"],
  });
}
