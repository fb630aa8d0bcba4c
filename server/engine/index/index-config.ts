/** `run.jsonc` of an index: which SAE over which corpus, and how much memory building it may take. */
import { isAbsolute, join } from "node:path";
import * as v from "valibot";
import { exists } from "../../files/disk.ts";
import { defaultSizes, type IndexSizes } from "../../store/latent-index.ts";
import { count, oneOf, size } from "../../training/options.ts";
import { badRunConfig } from "../runs/errors.ts";
import { parseJsonc } from "../runs/jsonc.ts";
import { type FilesConfig, parseFilesConfig } from "../runs/run-config.ts";

const schema = v.strictObject({
  $schema: v.optional(v.string()),
  kind: v.literal("index"),
  name: v.optional(v.string()),
  /** The corpus, as in a training: `data` of kind "files". */
  data: v.record(v.string(), v.unknown(), "an object"),
  /** Folder, file or Hub place of the SAE. */
  sae: v.pipe(v.string("a text"), v.minLength(1, "a text that is not empty")),
  /** Answers to what the SAE's format does not store. */
  facts: v.optional(v.record(v.string(), v.union([v.string(), v.number(), v.boolean()])), {}),
  /** Memory beside the LM and the SAE, in MiB. */
  memoryMib: v.optional(size(), 4096),
  sizes: v.optional(
    v.strictObject({
      top: v.optional(size(), defaultSizes.top),
      quantiles: v.optional(size(), defaultSizes.quantiles),
      perQuantile: v.optional(count(), defaultSizes.perQuantile),
      before: v.optional(count(), defaultSizes.before),
      after: v.optional(count(), defaultSizes.after),
      bins: v.optional(size(), defaultSizes.bins),
      list: v.optional(size(), defaultSizes.list),
      coactiveTokens: v.optional(size(), defaultSizes.coactiveTokens),
      silent: v.optional(count(), defaultSizes.silent),
      silentReach: v.optional(count(), defaultSizes.silentReach),
    }),
    {},
  ),
  device: v.optional(v.nullable(oneOf("auto", "cpu", "cuda", "webgpu", "dml", "coreml")), null),
  threads: v.optional(v.nullable(size()), null),
});

/** What an index is built from; paths are absolute or Hub ids. */
export interface IndexConfig extends Omit<v.InferOutput<typeof schema>, "data" | "sizes"> {
  readonly data: FilesConfig;
  readonly sizes: IndexSizes;
}

/** Shown lengths and counts are stored in bytes and 16 bits. */
const mostShown = 254;
const mostCoactive = 2 ** 16 - 1;

/** Parses the text of a run's file; paths in it are relative to `folder`. */
export function parseIndexConfig(source: string, where: string, folder: string): IndexConfig {
  return readIndexConfig(parseJsonc(source, where), where, folder);
}

/** The same for a value. */
export function readIndexConfig(value: unknown, where: string, folder: string): IndexConfig {
  const result = v.safeParse(schema, value, { abortPipeEarly: true });
  if (!result.success) {
    const [issue] = result.issues;
    const key = (issue.path ?? []).map((item) => String(item.key)).join(".");
    const found = issue.path?.at(-1)?.value ?? issue.input;
    const expected = issue.message.startsWith("Invalid ") ? (issue.expected ?? "") : issue.message;
    throw badRunConfig({ where, key, found, expected: expected || "another value" });
  }
  const { output } = result;
  const { sizes, sae } = output;
  const shown = sizes.before + 1 + sizes.after;
  if (shown > mostShown || sizes.quantiles > mostShown)
    throw badRunConfig({
      where,
      key: "sizes",
      found: shown,
      expected: `at most ${mostShown} tokens of a context and groups`,
    });
  if (sizes.coactiveTokens > mostCoactive)
    throw badRunConfig({
      where,
      key: "sizes.coactiveTokens",
      found: sizes.coactiveTokens,
      expected: `at most ${mostCoactive}`,
    });
  const isHubId = /^[^./\\][^/\\]*\/[^/\\]/.test(sae) && !exists(join(folder, sae));
  return {
    ...output,
    sae: isAbsolute(sae) || isHubId ? sae : join(folder, sae),
    data: parseFilesConfig(output.data, where, folder),
  };
}
