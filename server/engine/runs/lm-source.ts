/** Activations of token windows, computed when they are asked for: a source that needs no disk. */
import type { BlockOutput } from "../../lm/blocks.ts";
import { type HookPoint, printHookPoint } from "../../lm/hook-points.ts";
import type { LanguageModel } from "../../lm/language-model.ts";
import { PositionInputs } from "../../lm/position-inputs.ts";
import { Stream } from "../../lm/stream.ts";
import type { TokenWindows } from "../../store/token-windows.ts";
import type { ActivationSource } from "../../training/buffer.ts";
import { noTokenRows } from "./errors.ts";

/** Which tokens of a window become rows. */
export interface RowPolicy {
  /** Positions at a window's start that are left out: position 0 is an outlier in most models. */
  readonly skipPositions: number;
  /** Leaves out special tokens, such as those between documents. */
  readonly skipSpecial: boolean;
}

/** A hook point as the output of a block. */
interface BlockHook {
  readonly output: BlockOutput;
  readonly name: string;
}
type BlockPlan = ReadonlyMap<number, readonly BlockHook[]>;

/**
 * A language model over token windows. Windows run one by one and apart from each other, so that a window's numbers
 * do not depend on which others are run with it: one that is read again after a crash is the same to the last bit.
 * 128 to 256 rows are a good size for a block's run anyway (`lm/language-model.ts`); nothing is gained by joining windows.
 */
export class LmSource implements ActivationSource {
  readonly widths: ReadonlyMap<string, number>;
  readonly pieceRows: Int32Array;
  readonly #lm: LanguageModel;
  readonly #windows: TokenWindows;
  readonly #policy: RowPolicy;
  readonly #special: ReadonlySet<number>;
  readonly #hooks: readonly HookPoint[];
  readonly #plan: BlockPlan | undefined;
  readonly #embedHooks: readonly string[];
  #positions: PositionInputs;
  #positionsLength = 0;

  constructor(
    lm: LanguageModel,
    windows: TokenWindows,
    hooks: readonly string[],
    policy: RowPolicy,
  ) {
    this.#lm = lm;
    this.#windows = windows;
    this.#policy = policy;
    this.#hooks = hooks.map((name) => lm.hook(name));
    this.widths = new Map(
      this.#hooks.map((hook) => {
        const width = lm.hookWidth(hook);
        if (width === undefined || hook.kind === "logits") throw noTokenRows(printHookPoint(hook));
        return [printHookPoint(hook), width];
      }),
    );
    this.#special = policy.skipSpecial ? specialIds(lm) : new Set();
    const { plan, embedHooks } = planOf(this.#hooks);
    this.#plan = plan;
    this.#embedHooks = embedHooks;
    this.#positions = new PositionInputs(lm.rotary);
    this.pieceRows = Int32Array.from(
      { length: windows.count },
      (_, i) => this.keptPositions(windows.window(i)).length,
    );
  }

  /** Positions of a window that become rows. */
  keptPositions(ids: Int32Array): number[] {
    const kept: number[] = [];
    for (let at = this.#policy.skipPositions; at < ids.length; at++) {
      if (!this.#special.has(ids[at]!)) kept.push(at);
    }
    return kept;
  }

  async read(piece: number, signal?: AbortSignal): Promise<ReadonlyMap<string, Float32Array>> {
    const ids = this.#windows.window(piece);
    const all = await this.#run(ids, signal);
    const kept = this.keptPositions(ids);
    return new Map(
      [...all].map(([name, rows]) => [name, pick(rows, this.widths.get(name)!, kept)]),
    );
  }

  async close(): Promise<void> {
    await this.#lm.release();
  }

  async #run(ids: Int32Array, signal?: AbortSignal): Promise<Map<string, Float32Array>> {
    // A window that takes several runs of a block needs the keys and values of the runs before: a stream keeps them.
    if (this.#plan === undefined || ids.length > this.#lm.rowsPerRun(ids.length)) {
      return this.#stream(ids, signal);
    }
    if (ids.length !== this.#positionsLength) {
      this.#positions = new PositionInputs(this.#lm.rotary);
      this.#positionsLength = ids.length;
    }
    return this.#chain(ids, this.#plan, signal);
  }

  /** All blocks in one run each, without a cache of keys and values. */
  async #chain(
    ids: Int32Array,
    plan: BlockPlan,
    signal?: AbortSignal,
  ): Promise<Map<string, Float32Array>> {
    const found = new Map<string, Float32Array>();
    const none = new Float32Array(0);
    let resid = this.#lm.embed(ids, 0);
    for (const name of this.#embedHooks) found.set(name, resid);
    const deepest = Math.max(-1, ...plan.keys());
    for (let layer = 0; layer <= deepest; layer++) {
      const hooks = plan.get(layer) ?? [];
      const outputs = new Set<BlockOutput>(["resid_post", ...hooks.map(({ output }) => output)]);
      const out = await this.#lm.runBlock(
        layer,
        { resid, from: 0, to: ids.length, pastK: none, pastV: none },
        { outputs: [...outputs], positions: this.#positions, signal },
      );
      for (const { output, name } of hooks) found.set(name, out.get(output)!.data as Float32Array);
      resid = out.get("resid_post")!.data as Float32Array;
    }
    return found;
  }

  async #stream(ids: Int32Array, signal?: AbortSignal): Promise<Map<string, Float32Array>> {
    const stream = new Stream(this.#lm);
    try {
      stream.setIds(ids);
      const read = await stream.read(this.#hooks, signal);
      return new Map([...read].map(([name, { data }]) => [name, data]));
    } finally {
      stream.dispose();
    }
  }
}

/** Which blocks give which hook points; no plan where one of them is not a block's output. */
function planOf(hooks: readonly HookPoint[]): {
  plan: BlockPlan | undefined;
  embedHooks: readonly string[];
} {
  const plan = new Map<number, BlockHook[]>();
  const embedHooks: string[] = [];
  for (const hook of hooks) {
    const name = printHookPoint(hook);
    if (hook.kind === "embed" || (hook.kind === "resid_pre" && hook.layer === 0)) {
      embedHooks.push(name);
      continue;
    }
    if (!("layer" in hook)) return { plan: undefined, embedHooks };
    const isPre = hook.kind === "resid_pre";
    const layer = isPre ? hook.layer - 1 : hook.layer;
    const output: BlockOutput = hook.kind === "resid_pre" ? "resid_post" : hook.kind;
    plan.set(layer, [...(plan.get(layer) ?? []), { output, name }]);
  }
  return { plan, embedHooks };
}

/** Ids of BOS, EOS and the other tokens that the tokenizer's config names. */
export function specialIds({ tokenizer, eosIds }: LanguageModel): Set<number> {
  const named = Object.values(tokenizer.namedTokens).map((token) => tokenizer.idOf(token));
  const ids = [...named, tokenizer.bosId, ...tokenizer.eosIds, ...eosIds];
  return new Set(ids.filter((id) => id !== undefined));
}

function pick(rows: Float32Array, width: number, kept: readonly number[]): Float32Array {
  const [first = 0] = kept;
  // Mostly a stretch without holes.
  if (kept.length > 0 && kept.at(-1)! - first === kept.length - 1) {
    return rows.subarray(first * width, (first + kept.length) * width);
  }
  const out = new Float32Array(kept.length * width);
  kept.forEach((at, i) => out.set(rows.subarray(at * width, (at + 1) * width), i * width));
  return out;
}
