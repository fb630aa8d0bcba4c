// The processes of a workbench: VS Code's server starts the extension host, that the language server, that the reader.
import { readdirSync, readFileSync } from "node:fs";

/** All descendants of a process with their command lines; Linux only, as the workbench runs are. */
export function descendants(root) {
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
        // The name in parentheses may hold anything; the parent is the second field after it.
        const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
        const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
        return [{ pid: Number(pid), parent, command }];
      } catch {
        // It ended while we looked.
        return [];
      }
    });
  const found = new Set([root]);
  for (let before = 0; before !== found.size;) {
    before = found.size;
    for (const { pid, parent } of all) if (found.has(parent)) found.add(pid);
  }
  return all.filter(({ pid }) => found.has(pid) && pid !== root);
}

/** The one descendant whose command line holds `text`. */
export function onlyDescendant(root, text) {
  const matches = descendants(root).filter(({ command }) => command.includes(text));
  if (matches.length !== 1) {
    const list = matches.map(({ pid, command }) => `${pid} ${command}`);
    throw new Error(`${matches.length} processes hold ${text}: ${list.join("; ")}`);
  }
  return matches[0];
}
