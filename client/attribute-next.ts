/** The command that opens the attribution page at a token: of a hover's link, or at the cursor. */
import { UserError } from "../server/base/errors.ts";
import type { AttributeNext } from "../server/protocol/page-causes.ts";
import { asRecord, type ClientParts } from "./client-parts.ts";
import { activeTextEditor } from "./documents.ts";

/** A token of a document. */
export interface TokenOfDocument {
  readonly uri: string;
  readonly context: number;
  readonly index: number;
}

/** How attributions begin; the page offers the rest. */
const firstLook = {
  target: { kind: "top" },
  method: "integrated",
  steps: 16,
  ablations: 0,
} as const satisfies Partial<AttributeNext>;

/** Opens the page about the next token of a link's token or of the one at the cursor. */
export async function attributeNext(parts: ClientParts, argument?: unknown): Promise<void> {
  const token = tokenOf(argument) ?? (await tokenAtCursor(parts));
  const { sae } = asRecord(argument);
  parts.attribution.open({ ...token, ...(typeof sae === "string" ? { sae } : {}), ...firstLook });
}

/** The token of a command's argument, if it names one. */
export function tokenOf(argument: unknown): TokenOfDocument | undefined {
  const { uri, context, index } = asRecord(argument);
  if (typeof uri !== "string" || typeof context !== "number" || typeof index !== "number")
    return undefined;
  return { uri, context, index };
}

/** The token at the cursor of the active text; of the one before it where the cursor stands at an end. */
export async function tokenAtCursor({ server }: ClientParts): Promise<TokenOfDocument> {
  const editor = activeTextEditor();
  if (!editor)
    throw new UserError(
      "no-text-open",
      "no text is open in the active editor: open a file that is read, and put the cursor at a token",
    );
  const uri = editor.document.uri.toString();
  const offset = editor.document.offsetAt(editor.selection.active);
  for (const at of [offset, offset - 1]) {
    const found = at < 0 ? null : await server.call("tokenAt", { uri, offset: at });
    if (found) return { uri, ...found };
  }
  throw new UserError(
    "no-token",
    "there is no token at the cursor, or the file is not analysed: switch it on, and put the cursor into its text",
  );
}
