/** Files of running text in a few words; none are the bundled sample. */
export function textsText(files: readonly string[]): string {
  if (files.length === 0) return "the bundled sample text";
  const [first = ""] = files;
  const name = first.split(/[/\\]/).at(-1) ?? first;
  return files.length === 1 ? name : `${name} and ${files.length - 1} more`;
}
