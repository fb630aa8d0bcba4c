import type { ChatMessage } from "../protocol/explain.ts";

/**
 * Tokens of messages for a model whose tokenizer is not here: UTF-8 bytes over four, and four for each message. English
 * prose has 4 to 4.5 bytes a token in current vocabularies; code and other scripts have fewer, so the figure may be a third off.
 */
export function roughTokens(messages: readonly ChatMessage[]): number {
  const encoder = new TextEncoder();
  return messages.reduce(
    (sum, { content }) => sum + Math.ceil(encoder.encode(content).length / 4) + 4,
    0,
  );
}
