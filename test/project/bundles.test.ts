// What esbuild put into each bundle: the two roofs stay apart, and the editor's process holds no machine learning.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describePart, repoRoot } from "../parts.ts";

interface Metafile {
  readonly outputs: Readonly<
    Record<
      string,
      {
        readonly entryPoint?: string;
        readonly inputs: Readonly<Record<string, unknown>>;
        readonly imports: readonly { readonly path: string; readonly external?: boolean }[];
      }
    >
  >;
}

/** A bundle may hold only what `allowed` matches, and nothing that `forbidden` matches. */
interface Rule {
  readonly meta: "client" | "server" | "pages";
  readonly output: string;
  readonly allowed: RegExp;
  readonly forbidden: RegExp;
  /** Files that must be there: the test looked at the right bundle. */
  readonly holds: readonly string[];
  /** Something that would break the rule. */
  readonly planted: string;
}

const anything = /./;
const programs: readonly Rule[] = [
  {
    meta: "server",
    output: "dist/main.js",
    allowed: anything,
    forbidden:
      /^(onnxruntime|server\/(runtime|lm|sae|graph|training|engine)\/|server\/text\/.*tokeni[sz]er)|node_modules\/(@huggingface\/tokenizers|vscode-languageclient|preact)\//,
    holds: ["server/main.ts", "server/workbench/workbench.ts", "server/protocol/rpc.ts"],
    planted: "server/runtime/device.ts",
  },
  {
    meta: "server",
    output: "dist/reader.js",
    allowed: anything,
    forbidden: /^(vscode|server\/(workbench|lsp)\/)|node_modules\/(vscode-|preact\/)/,
    holds: ["server/reader.ts", "server/engine/engine.ts", "server/protocol/rpc.ts"],
    planted: "server/workbench/workbench.ts",
  },
  {
    meta: "client",
    output: "dist/client.cjs",
    allowed: /^(client\/|server\/(protocol|base|chat)\/|node_modules\/|vscode$|node:|[a-z_/]+$)/,
    forbidden: /^onnxruntime|^server\/(?!protocol\/|base\/|chat\/)/,
    holds: ["client/extension.ts"],
    planted: "server/workbench/workbench.ts",
  },
];

const built = (["client", "server", "pages"] as const).every((it) => existsSync(metaPath(it)));
const rules = built ? [...programs, ...pageRules()] : programs;

describePart(built ? undefined : "dist/meta-*.json is missing: npm run build", "bundles", () => {
  test.each(rules)("$output holds only what it may", (rule) => {
    const content = contentOf(readMeta(rule.meta), rule.output);
    expect(breaches(content, rule)).toEqual([]);
    expect(content).toEqual(expect.arrayContaining([...rule.holds]));
    expect(content.length).toBeGreaterThan(rule.holds.length);
  });

  test.each(rules)("$planted planted in $output is found", (rule) => {
    const content = contentOf(readMeta(rule.meta), rule.output);
    expect(breaches([...content, rule.planted], rule)).toEqual([rule.planted]);
  });

  test("there are pages", () => {
    expect(pageRules().map(({ output }) => output)).toContain("dist/webviews/text.js");
  });

  test("onnxruntime-node is external where it is used, and its import is seen", () => {
    expect(contentOf(readMeta("server"), "dist/reader.js")).toContain("onnxruntime-node");
  });
});

/** One rule for each page that was built. */
function pageRules(): Rule[] {
  const pages = Object.entries(readMeta("pages").outputs).filter(([output]) =>
    output.endsWith(".js"),
  );
  return pages.map(([output, { entryPoint = "" }]) => ({
    meta: "pages",
    output,
    allowed: /^(webviews\/|server\/(protocol|base)\/|node_modules\/)/,
    forbidden: /^(node:|vscode)|node_modules\/(onnxruntime|vscode-)/,
    holds: [entryPoint],
    planted: "client/extension.ts",
  }));
}

/** Files inside a bundle, and the modules it imports at run time. */
function contentOf(meta: Metafile, output: string): string[] {
  const bundle = meta.outputs[output];
  if (!bundle)
    throw new Error(`no ${output} in the metafile: ${Object.keys(meta.outputs).join(", ")}`);
  return [...Object.keys(bundle.inputs), ...bundle.imports.map(({ path }) => path)];
}

function breaches(content: readonly string[], { allowed, forbidden }: Rule): string[] {
  return content.filter((it) => forbidden.test(it) || !allowed.test(it));
}

function readMeta(name: string): Metafile {
  return JSON.parse(readFileSync(metaPath(name), "utf8")) as Metafile;
}

function metaPath(name: string): string {
  return join(repoRoot, `dist/meta-${name}.json`);
}
