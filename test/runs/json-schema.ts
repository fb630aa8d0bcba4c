/** The JSON schema of run files, made from the schemas that read them and the doc comments that explain them. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type * as v from "valibot";
import { runSchema } from "../../server/engine/runs/run-config.ts";
import { trainSchema } from "../../server/training/trainers/index.ts";
import { repoRoot } from "../parts.ts";

type Json = Record<string, unknown>;
type Schema = v.GenericSchema;

/** The schema as text of a file. */
export function runJsonSchema(): string {
  const explained = explanations();
  const { properties, ...run } = convert(runSchema, explained) as { properties: Json };
  const train = convert(trainSchema, explained) as { anyOf: Json[] };
  // d_in comes from the data.
  for (const option of train.anyOf) {
    option["required"] = (option["required"] as string[]).filter((key) => key !== "d_in");
  }
  const shared = shareOptions(train.anyOf);
  const sae = properties["sae"] as { properties: Json };
  sae.properties["train"] = { $ref: "#/definitions/train" };
  const schema = {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "run.jsonc",
    description:
      "A training run of Latent Workbench: what it reads, what it trains, how it is kept.",
    ...run,
    allowComments: true,
    allowTrailingCommas: true,
    properties: {
      ...properties,
      sae: { $ref: "#/definitions/sae" },
      saes: { ...(properties["saes"] as Json), items: { $ref: "#/definitions/sae" } },
    },
    definitions: { sae, train, ...shared },
  };
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}

/** Options that several architectures have alike become definitions: the file would be five times as long. */
function shareOptions(architectures: readonly Json[]): Json {
  const shared: Json = {};
  const all = architectures.map((it) => it["properties"] as Json);
  for (const key of new Set(all.flatMap((it) => Object.keys(it)))) {
    const [first] = all.flatMap((it) => it[key] ?? []);
    const same = all.filter((it) => JSON.stringify(it[key]) === JSON.stringify(first));
    if (same.length < 2) continue;
    shared[`train.${key}`] = first;
    for (const it of same) it[key] = { $ref: `#/definitions/train.${key}` };
  }
  return shared;
}

/** Everything of valibot that our schemas use; anything else is an error, so that nothing is left out. */
function convert(schema: Schema, explained: ReadonlyMap<string, string>): Json {
  const it = schema as unknown as Record<string, unknown>;
  const inner = (key: string): Json => convert(it[key] as Schema, explained);
  switch (schema.type) {
    case "strict_object":
      return object(it["entries"] as Record<string, Schema>, explained);
    case "optional": {
      const value = it["default"] as unknown;
      const isPlain = value !== undefined && JSON.stringify(value) !== "{}";
      return { ...inner("wrapped"), ...(isPlain ? { default: value } : {}) };
    }
    case "nullable":
      return { anyOf: [inner("wrapped"), { type: "null" }] };
    case "variant":
    case "union":
      return { anyOf: (it["options"] as Schema[]).map((option) => convert(option, explained)) };
    case "picklist":
      return { enum: it["options"] };
    case "literal":
      return { const: it["literal"] };
    case "array":
      return { type: "array", items: inner("item"), ...limits(it) };
    case "record":
      return { type: "object", additionalProperties: inner("value") };
    case "number":
    case "string":
      return { type: schema.type, ...limits(it) };
    case "boolean":
      return { type: "boolean" };
    case "unknown":
      return {};
    default:
      throw new Error(`no JSON schema for ${schema.type}`);
  }
}

function object(entries: Record<string, Schema>, explained: ReadonlyMap<string, string>): Json {
  const properties = Object.entries(entries).map(([key, value]) => {
    const markdownDescription = explained.get(key);
    return [
      key,
      { ...convert(value, explained), ...(markdownDescription ? { markdownDescription } : {}) },
    ];
  });
  const required = Object.entries(entries).filter(([, value]) => value.type !== "optional");
  return {
    type: "object",
    properties: Object.fromEntries(properties) as Json,
    required: required.map(([key]) => key),
    additionalProperties: false,
  };
}

const keywords: Readonly<Record<string, string>> = {
  min_value: "minimum",
  max_value: "maximum",
  gt_value: "exclusiveMinimum",
  lt_value: "exclusiveMaximum",
};

function limits(schema: Record<string, unknown>): Json {
  const found: Json = {};
  for (const { type, requirement } of (schema["pipe"] ?? []) as Record<string, unknown>[]) {
    const keyword = keywords[type as string];
    if (keyword) found[keyword] = requirement;
    else if (type === "safe_integer") found["type"] = "integer";
    else if (type === "min_length")
      found[schema["type"] === "array" ? "minItems" : "minLength"] = requirement;
    else if (type === "regex") found["pattern"] = (requirement as RegExp).source;
    else if (type !== "finite" && type !== schema["type"])
      throw new Error(`no keyword for ${String(type)}`);
  }
  return found;
}

/** Doc comments by the key after them; a key that is explained in several ways is left out. */
function explanations(): Map<string, string> {
  const trainers = join(repoRoot, "server/training/trainers");
  const files = [
    join(repoRoot, "server/engine/runs/run-config.ts"),
    ...["common-config", "downstream", "adversary-config", "attribution"].map((name) =>
      join(repoRoot, `server/training/${name}.ts`),
    ),
    ...readdirSync(trainers).map((name) => join(trainers, name)),
  ];
  const all = new Map<string, Set<string>>();
  for (const file of files) {
    const text = readFileSync(file, "utf8");
    for (const [, comment = "", key = ""] of text.matchAll(
      /\/\*\*((?:(?!\*\/)[^])*)\*\/\n\s*(\w+): /g,
    )) {
      const words = comment.replaceAll(/\n\s*\* ?/g, " ").trim();
      all.set(key, (all.get(key) ?? new Set()).add(words));
    }
  }
  return new Map(
    [...all].filter(([, each]) => each.size === 1).map(([key, each]) => [key, [...each][0]!]),
  );
}
