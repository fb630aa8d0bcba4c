/** What package.json promises, against the code that keeps the promise. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { heatSteps } from "../../server/protocol/page.ts";
import { maxPins, pinSteps } from "../../server/protocol/pins.ts";
import { readSettings } from "../../server/workbench/settings.ts";
import { repoRoot } from "../parts.ts";

interface Manifest {
  readonly contributes: {
    readonly commands: readonly { command: string; title: string; category: string }[];
    readonly colors: readonly { id: string }[];
    readonly jsonValidation: readonly { url: string }[];
    readonly configuration: {
      readonly properties: Readonly<
        Record<string, { default: unknown; scope: string; markdownDescription: string }>
      >;
    };
  };
  readonly icon: string;
  readonly capabilities: {
    readonly untrustedWorkspaces: { readonly restrictedConfigurations: readonly string[] };
  };
}

const read = (path: string): string => readFileSync(join(repoRoot, path), "utf8");
const manifest = JSON.parse(read("package.json")) as Manifest;
const settings = Object.entries(manifest.contributes.configuration.properties)
  .map(([key, value]) => ({ ...value, key: key.replace("latentWorkbench.", "") }))
  // The language client library reads this one.
  .filter(({ key }) => key !== "trace.server");

test("the defaults of package.json are those of the server", () => {
  const section: Record<string, unknown> = {};
  for (const { key, default: value } of settings) {
    const path = key.split(".");
    let at = section;
    for (const part of path.slice(0, -1)) at = (at[part] ??= {}) as Record<string, unknown>;
    at[path.at(-1) ?? ""] = value;
  }
  expect(readSettings(section, "/cache")).toEqual(readSettings({}, "/cache"));
});

test("the server reads every setting, and no other", () => {
  const asked = new Set<string>();
  const spy = (prefix: string): unknown =>
    new Proxy(
      {},
      {
        get: (_, key) => {
          const path = prefix + String(key);
          asked.add(path);
          const isGroup = settings.some((it) => it.key.startsWith(`${path}.`));
          return isGroup ? spy(`${path}.`) : undefined;
        },
      },
    );
  readSettings(spy(""), "/cache");
  const leaves = [...asked].filter((it) => ![...asked].some((other) => other.startsWith(`${it}.`)));
  expect(leaves.toSorted()).toEqual(settings.map(({ key }) => key).toSorted());
});

test("settings that name paths and devices are restricted and not synced between machines", () => {
  const restricted = manifest.capabilities.untrustedWorkspaces.restrictedConfigurations;
  const local = settings.filter(({ scope }) => scope.startsWith("machine"));
  expect(local.map(({ key }) => `latentWorkbench.${key}`).toSorted()).toEqual(
    restricted.toSorted(),
  );
});

test("every command of package.json is registered", () => {
  // The commands' module needs VS Code; its table is read as text here and run in the extension host's tests.
  const table = /export const commands[^=]*= \{([\s\S]*?)\n\};/.exec(
    read("client/commands.ts"),
  )?.[1];
  const names = [...(table ?? "").matchAll(/^ {2}(\w+)[,:]/gm)].map(([, name]) => name ?? "");
  const links = ["unpinLatent"];
  const contributed = manifest.contributes.commands.map(({ command }) => command.split(".")[1]);
  expect(names.length).toBeGreaterThan(10);
  expect(new Set(names.filter((it) => !links.includes(it)))).toEqual(new Set(contributed));
  for (const { category } of manifest.contributes.commands)
    expect(category).toBe("Latent Workbench");
});

test("there is a colour for every step of heat", () => {
  const ids = manifest.contributes.colors.map(({ id }) => id);
  for (let step = 1; step <= heatSteps; step++)
    expect(ids).toContain(`latentWorkbench.heat${step}`);
  for (let colour = 1; colour <= maxPins; colour++) {
    expect(ids).toContain(`latentWorkbench.pin${colour}`);
    for (let step = 1; step <= pinSteps; step++)
      expect(ids).toContain(`latentWorkbench.pin${colour}Heat${step}`);
  }
});

test("the schema and the icon are there", () => {
  for (const { url } of manifest.contributes.jsonValidation)
    expect(() => JSON.parse(read(url)) as unknown).not.toThrow();
  const icon = readFileSync(join(repoRoot, manifest.icon));
  expect(icon.subarray(1, 4).toString("latin1")).toBe("PNG");
});
