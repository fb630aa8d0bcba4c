/** How lines are told apart: colours of the theme, and dashes for those who do not see them. */

const colors = [
  ["--vscode-charts-blue", "--vscode-textLink-foreground"],
  ["--vscode-charts-orange", "--vscode-foreground"],
  ["--vscode-charts-green", "--vscode-foreground"],
  ["--vscode-charts-purple", "--vscode-foreground"],
  ["--vscode-charts-red", "--vscode-foreground"],
  ["--vscode-charts-yellow", "--vscode-foreground"],
  ["--vscode-charts-foreground", "--vscode-foreground"],
  ["--vscode-charts-lines", "--vscode-foreground"],
] as const;

const dashes = [[], [8, 4], [2, 3], [12, 3, 2, 3], [5, 2], [1, 2], [16, 4], [4, 6]];

/** The colour of the line in a slot, as the canvas needs it. */
export function colorOf(slot: number): string {
  const [name, otherwise] = colors[slot % colors.length] as (typeof colors)[number];
  return themeColor(name, otherwise);
}

/** The dashes of the line in a slot. */
export function dashOf(slot: number): number[] {
  return dashes[slot % dashes.length] ?? [];
}

/** A colour of the theme; another one where the theme has none of that name. */
export function themeColor(name: string, otherwise: string): string {
  const style = getComputedStyle(document.body);
  return style.getPropertyValue(name).trim() || style.getPropertyValue(otherwise).trim() || "gray";
}

/** Changes with the theme. */
export function themeName(): string {
  const { className, dataset } = document.body;
  return `${className} ${dataset["vscodeThemeId"] ?? ""}`;
}
