/** What a corpus is made of. */

/** One document: a text, cut into pieces that may be tokenised one by one, or a conversation. */
export type CorpusDocument =
  | { readonly text: string; readonly continues: boolean }
  | { readonly messages: readonly { readonly role: string; readonly content: string }[] };

/** True for a message of a conversation. */
export function isMessage(value: unknown): value is { role: string; content: string } {
  const message = value as { role?: unknown; content?: unknown } | null;
  return typeof message?.role === "string" && typeof message.content === "string";
}
