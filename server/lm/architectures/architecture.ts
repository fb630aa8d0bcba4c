/** What every family of language models answers for itself; nothing outside its file asks which family it is. */
import type { Value } from "../../graph/graph.ts";
import type { BlockBuilder, BlockValues, NormFacts } from "../block-builder.ts";
import type { ConfigReader, LmConfig } from "../config.ts";
import type { BlockHookKind } from "../hook-points.ts";
import type { GgufFacts } from "../gguf.ts";

/** Names of the tensors outside the blocks, as Hugging Face spells them. */
export interface OuterNames {
  /** Outer prefixes under which exports put the same names, ours first. */
  readonly prefixes: readonly string[];
  /** `[d_vocab, d_model]` */
  readonly embedding: string;
  /** Learned positions `[n_ctx, d_model]`, where the family has them. */
  readonly positions?: string;
  /** `[d_vocab, d_model]`; the embedding where they are tied. */
  readonly unembedding: string;
  readonly finalNorm: NormFacts;
}

/** One model's architecture: its config as read, and how its blocks are built. */
export interface Architecture {
  readonly config: LmConfig;
  readonly names: OuterNames;
  /** Hook points that blocks of this architecture do not have, with the reason. */
  readonly absentHooks: Readonly<Partial<Record<BlockHookKind, string>>>;
  /** The graph of one block: `resid` `[tokens, d_model]` in, every hook point out. */
  block(b: BlockBuilder, resid: Value, layer: number): BlockValues;
}

/** A family: the model types it reads, and how llama.cpp spells it where it does. */
export interface Family {
  readonly modelType: string;
  /** Other model types with the same layout. */
  readonly alsoTypes?: readonly string[];
  read(reader: ConfigReader): Architecture;
  readonly gguf?: GgufFacts;
}
