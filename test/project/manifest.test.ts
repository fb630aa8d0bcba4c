// What package.json promises an editor, against what the code keeps.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { heatSteps } from "../../server/protocol/page.ts";
import { readSettings } from "../../server/workbench/settings.ts";
import { repoRoot } from "../parts.ts";

interface Manifest {
  readonly contributes: {
    readonly commands: readonly { readonly command: string }[];
    readonly menus?: Readonly<Record<string, readonly { readonly command?: string }[]>>;
    readonly configuration: {
      readonly properties: Readonly<Record<string, { readonly default: unknown }>>;
    };
    readonly colors: readonly { readonly id: string }[];
    readonly jsonValidation: readonly { readonly url: string }[];
  };
}

const manifest = JSON.parse(read("package.json")) as Manifest;
const { contributes } = manifest;

/** Run by links in hovers and pages, with arguments that a palette cannot give. */
const notInPalette = ["latentWorkbench.unpinLatent"];
/** Read by vscode-languageclient, under this very name. */
const readByLibrary = ["latentWorkbench.trace.server"];

test("every command of package.json is registered, and the other way round", () => {
  const contributed = contributes.commands.map(({ command }) => command);
  const registered = registeredCommands();
  expect(registered.length).toBeGreaterThan(10);
  expect(registered.toSorted()).toEqual([...contributed, ...notInPalette].toSorted());
});

test("menus name commands that exist", () => {
  const contributed = contributes.commands.map(({ command }) => command);
  const inMenus = Object.values(contributes.menus ?? {})
    .flat()
    .flatMap(({ command }) => (command === undefined ? [] : [command]));
  expect(inMenus.filter((it) => !contributed.includes(it))).toEqual([]);
});

test("every setting of package.json is read, and every setting that is read is declared", () => {
  const declared = Object.keys(contributes.configuration.properties);
  const used = usedSettings();
  expect(used.length).toBeGreaterThan(8);
  expect([...used, ...readByLibrary].toSorted()).toEqual(declared.toSorted());
});

test("the defaults of package.json mean what a missing setting means", () => {
  const defaults = {};
  for (const [name, { default: value }] of Object.entries(contributes.configuration.properties))
    put(defaults, name.split(".").slice(1), value);
  expect(readSettings(defaults, "cache")).toEqual(readSettings({}, "cache"));
});

test("there is a colour for each step of heat", () => {
  const heat = contributes.colors.map(({ id }) => id).filter((id) => /\.heat\d$/.test(id));
  expect(heat).toEqual(Array.from({ length: heatSteps }, (_, i) => `latentWorkbench.heat${i + 1}`));
});

test("files that package.json names exist", () => {
  const missing = contributes.jsonValidation
    .map(({ url }) => url)
    .filter((url) => !existsSync(join(repoRoot, url)));
  expect(missing).toEqual([]);
});

/** Keys of the `commands` table in client/commands.ts. */
function registeredCommands(): string[] {
  const table = /export const commands\b[^=]*= \{\n([\s\S]*?)\n\};/.exec(
    read("client/commands.ts"),
  );
  return [...(table?.[1] ?? "").matchAll(/^ {2}(\w+)[,:]/gm)].map(
    (match) => `latentWorkbench.${match[1]}`,
  );
}

/** Keys that the server reads with `at("key")` and the client with `get("key")`. */
function usedSettings(): string[] {
  const server = [...read("server/workbench/settings.ts").matchAll(/\bat\("([\w.]+)"\)/g)];
  const client = readdirSync(join(repoRoot, "client"))
    .filter((name) => name.endsWith(".ts"))
    .flatMap((name) => [
      ...read(`client/${name}`).matchAll(
        /getConfiguration\("latentWorkbench"\)\s*\.get(?:<[^(]*>)?\("([\w.]+)"/g,
      ),
    ]);
  return [...new Set([...server, ...client].map((match) => `latentWorkbench.${match[1]}`))];
}

/** Sets a value under a dotted name. */
function put(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [key = "", ...rest] = path;
  if (rest.length === 0) target[key] = value;
  else put((target[key] ??= {}) as Record<string, unknown>, rest, value);
}

function read(path: string): string {
  return readFileSync(join(repoRoot, path), "utf8");
}
