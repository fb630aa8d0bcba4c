/** Text for people in Markdown, where nothing that comes from files, labels or models is markup. */

/**
 * Escapes text so that Markdown shows it as it is, on one line, whatever it holds: markup, HTML, addresses that
 * would become links, control characters.
 */
export function plain(text: string): string {
  const escaped = visible(text)
    .replace(/[\\`*_[\]()|~$!#]/g, (mark) => `\\${mark}`)
    .replace(/[&<>]/g, (mark) => `&#${mark.charCodeAt(0)};`);
  const looksLikeAddress = /www\.|:\/\/|@|mailto:|command:/i.test(text);
  return looksLikeAddress
    ? escaped.replace(/[.:@]/g, (mark) => `&#${mark.charCodeAt(0)};`)
    : escaped;
}

/** Text as a code span; not for tables. */
export function code(text: string): string {
  const shown = visible(text);
  const longest = Math.max(0, ...(shown.match(/`+/g) ?? []).map((run) => run.length));
  const fence = "`".repeat(longest + 1);
  return longest > 0 || shown === "" ? `${fence} ${shown} ${fence}` : `${fence}${shown}${fence}`;
}

/** Text with everything invisible made visible; still plain text, not Markdown. */
export function visible(text: string): string {
  return text
    .replaceAll("\r", "␍")
    .replaceAll("\n", "⏎")
    .replaceAll("\t", "⇥")
    .replace(
      // Controls, format characters (zero-width, bidi), line and paragraph separators, lone surrogates.
      /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu,
      (mark) => `\\u${(mark.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
    )
    .replace(/^ +| +$/g, (blanks) => "␣".repeat(blanks.length));
}

/** Text cut to `length` characters, never inside one. */
export function shortened(text: string, length: number): string {
  const characters = Array.from(text);
  return characters.length <= length ? text : `${characters.slice(0, length - 1).join("")}…`;
}

/** A bar of eight cells for a share in [0, 1]; all cells are as wide only in a code span. */
export function bar(share: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * 64);
  const full = Math.floor(eighths / 8);
  const partial = " ▏▎▍▌▋▊▉"[eighths % 8] ?? "";
  return ("█".repeat(full) + partial.trim()).padEnd(8, "░").slice(0, 8);
}

/** A number with three significant digits, without exponents where people expect none. */
export function figure(value: number): string {
  if (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e6))
    return value.toExponential(2);
  return Number(value.toPrecision(3)).toString();
}

/** A link to a command of ours with its argument; the only trusted kind of link in a hover. */
export function commandLink(text: string, command: string, argument: unknown): string {
  const query = encodeURIComponent(JSON.stringify([argument])).replace(
    /[()']/g,
    (mark) => `%${mark.charCodeAt(0).toString(16)}`,
  );
  return `[${text}](command:latentWorkbench.${command}?${query})`;
}
