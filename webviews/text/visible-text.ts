/** Text of tokens as the strip draws it. */
export { visibleText } from "../../server/base/visible-text.ts";

/** True where the strip goes to a new line after the token. */
export function endsLine(text: string): boolean {
  return text.includes("\n");
}
