/**
 * The rules of ARCHITECTURE.md's room table, as a function of the table's text and the source files' texts, so that
 * the tests can plant a violation and see it found.
 */
import { dirname, join } from "node:path/posix";

/** A row of the table. */
export interface Room {
  readonly name: string;
  readonly mayImport: readonly string[];
  /** npm packages and node: modules. */
  readonly packages: readonly string[];
}

/** What the rules found, one sentence each, and how much they looked at. */
export interface RoomReport {
  readonly violations: readonly string[];
  readonly files: number;
  readonly imports: number;
}

/** These wire rooms together: they may import any room and what the rooms are given, but no disk and no device. */
const entryFiles: readonly string[] = [
  "server/main.ts",
  "server/reader.ts",
  "server/cli.ts",
  "server/bundled.ts",
];

/** Rooms whose answer depends on their arguments alone. */
const pureRooms = ["server/tensor", "server/encoding", "server/text", "server/graph"];
/** Globals that read the clock, chance, the disk, the network or the process. */
const impure =
  /\b(Date\.now|new Date\b|performance\.now|Math\.random|crypto\.|process\.|fetch\(|setTimeout|setInterval|setImmediate)/;
/** What one room alone may import. */
const keepers: readonly (readonly [RegExp, string])[] = [
  [/^onnxruntime-/, "server/runtime"],
  [/^node:(fs|fs\/promises|http|https|net)$/, "server/files"],
  [/^vscode-languageserver(?!-textdocument)/, "server/lsp"],
  [/^(vscode|vscode-languageclient)$/, "client"],
];

/** Reads the rows that begin with a room's name in backquotes: room | holds | may import | packages. */
export function readRooms(markdown: string): Room[] {
  return markdown
    .split("\n")
    .filter((line) => /^\| `(server\/\w+|client|webviews)` /.test(line))
    .map((line) => {
      const [, room, , mayImport, packages] = line.split("|");
      return { name: names(room)[0] ?? "", mayImport: names(mayImport), packages: names(packages) };
    });
}

/** Checks source files (path from the repository's root → text) against the table. */
export function checkRooms(
  rooms: readonly Room[],
  sources: ReadonlyMap<string, string>,
): RoomReport {
  const table = new Map(rooms.map((room) => [room.name, room]));
  const violations: string[] = [...tableViolations(rooms)];
  const used = new Set<string>();
  const reported = new Set<string>();
  let imports = 0;
  for (const [file, text] of sources) {
    const name = roomOf(file);
    const room = table.get(name);
    if (!room && !entryFiles.includes(file))
      violations.push(`${file} lies in no room of the table`);
    for (const specifier of importsOf(text)) {
      imports++;
      const target = targetOf(file, specifier);
      used.add(`${name} -> ${target}`);
      const problem = room ? importViolation(room, target) : entryViolation(target, table);
      // One file for each missing grant says enough.
      if (problem && !reported.has(`${name} -> ${target}`))
        violations.push(`${file} imports ${specifier}: ${problem}`);
      if (problem) reported.add(`${name} -> ${target}`);
    }
    const match = pureRooms.includes(name) ? impure.exec(withoutComments(text)) : null;
    if (match) violations.push(`${file} uses ${match[0]}: ${name} is pure`);
  }
  const lived = new Set([...sources.keys()].map(roomOf));
  for (const room of rooms) {
    if (!lived.has(room.name)) violations.push(`${room.name} has a row but no files`);
    for (const grant of [...room.mayImport, ...room.packages])
      if (!used.has(`${room.name} -> ${grant}`))
        violations.push(`${room.name} may import ${grant}, but nothing does`);
  }
  return { violations, files: sources.size, imports };
}

/** Rows must name rooms above themselves only, and the two roofs never each other. */
function tableViolations(rooms: readonly Room[]): string[] {
  const order = rooms.map((room) => room.name);
  return rooms.flatMap((room, row) =>
    room.mayImport
      .filter((target) => {
        const at = order.indexOf(target);
        return at < 0 || at >= row;
      })
      .map((target) => `the row of ${room.name} grants ${target}, which is no room above it`),
  );
}

function importViolation(room: Room, target: string): string | undefined {
  if (target === room.name || room.mayImport.includes(target)) return undefined;
  const keeper = keepers.find(([pattern]) => pattern.test(target))?.[1];
  if (keeper && keeper !== room.name) return `only ${keeper} may`;
  return room.packages.includes(target)
    ? undefined
    : `the row of ${room.name} does not grant ${target}`;
}

function entryViolation(target: string, table: ReadonlyMap<string, Room>): string | undefined {
  if (table.has(target) || entryFiles.includes(target)) return undefined;
  const keeper = keepers.find(([pattern]) => pattern.test(target))?.[1];
  return keeper === "server/runtime" || keeper === "server/files"
    ? `only ${keeper} may`
    : undefined;
}

/** Module specifiers of a file, types included. */
export function importsOf(text: string): string[] {
  const code = withoutComments(text);
  const patterns = [
    /^\s*(?:import|export)\b[^"';]*?\bfrom\s*"([^"]+)"/gm,
    /^\s*import\s*"([^"]+)"/gm,
    /\b(?:import|require)\s*\(\s*"([^"]+)"/g,
  ];
  return patterns.flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match[1] ?? ""));
}

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/^\s*\/\/.*$/gm, "");
}

function targetOf(file: string, specifier: string): string {
  if (specifier.startsWith(".")) return roomOf(join(dirname(file), specifier));
  if (specifier.startsWith("node:")) return specifier;
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}

function roomOf(file: string): string {
  const [top = "", room = ""] = file.split("/");
  return top === "server" ? `${top}/${room}` : top;
}

function names(cell = ""): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? "");
}
