/** A text beside the same text with a stretch left out: which of its tokens are the same, and what latents do there. */
import type { CellLatent, CounterfactualCell, Sentence } from "../../protocol/comparison.ts";
import type { ContextTokens } from "../../protocol/context.ts";
import type { Cut } from "../../text/sentences.ts";
import {
  changesBetween,
  countsOf,
  DistanceSum,
  kindOf,
  latentsAt,
  type SideReading,
  sizeOf,
} from "./compare-rows.ts";

/**
 * For each token of the shortened text the token of the whole text that ends at the same character and has the same id, or −1. A
 * tokenizer may cut the text at the seam in another way; such tokens have none.
 */
export function sameTokens(whole: ContextTokens, shorter: ContextTokens, cut: Cut): Int32Array {
  const byEnd = new Map<string, number>();
  for (let token = 0; token < whole.ids.length; token++)
    if ((whole.part[token] as number) >= 0) byEnd.set(placeOf(whole, token, 0), token);
  return Int32Array.from(shorter.ids, (_, token) => {
    const part = shorter.part[token] as number;
    if (part < 0) return -1;
    const behind = part === cut.part && (shorter.end[token] as number) > cut.start;
    const shift = behind ? cut.end - cut.start : 0;
    return byEnd.get(placeOf(shorter, token, shift)) ?? -1;
  });
}

/** What tells a token from all others of a text, with its end moved by `shift`. */
function placeOf(tokens: ContextTokens, token: number, shift: number): string {
  const { part, end, byteOfCharacter, ids } = tokens;
  return [part[token], (end[token] as number) + shift, byteOfCharacter[token], ids[token]].join();
}

/**
 * The sentence of each token: that of its last character, because many tokenizers put the blank before a word into the word's token.
 * −1 for tokens that template or BOS policy put in. `[tokens]`
 */
export function sentenceOfTokens(
  tokens: ContextTokens,
  sentences: readonly Sentence[],
): Int32Array {
  let sentence = 0;
  return Int32Array.from(tokens.ids, (_, token) => {
    const part = tokens.part[token] as number;
    if (part < 0) return -1;
    const last = Math.max(tokens.start[token] as number, (tokens.end[token] as number) - 1);
    const holds = (at: Sentence | undefined): boolean =>
      at !== undefined && at.part === part && last >= at.start && last < at.end;
    if (!holds(sentences[sentence])) sentence = sentences.findIndex(holds);
    return sentence;
  });
}

/** The cells of one sentence that is left out: what latents do in each sentence after it. */
export function cellsOf(
  leftOut: number,
  whole: SideReading & { readonly sentences: Int32Array },
  shorter: SideReading & { readonly same: Int32Array },
  { nSentences, top }: { nSentences: number; top: number },
): CounterfactualCell[] {
  const shorterOf = new Map<number, number>();
  for (const [token, same] of shorter.same.entries()) if (same >= 0) shorterOf.set(same, token);
  const cells = Array.from({ length: nSentences - leftOut - 1 }, () => new CellSum());
  for (const [token, sentence] of whole.sentences.entries()) {
    const cell = cells[sentence - leftOut - 1];
    if (sentence < 0 || !cell) continue;
    const other = shorterOf.get(token);
    const first = whole.position[token] === 0 || shorter.position[other ?? -1] === 0;
    if (other === undefined || first) cell.notCompared++;
    else cell.add(token, latentsAt(whole, token), latentsAt(shorter, other));
  }
  return cells.map((cell, at) => cell.result(leftOut, leftOut + 1 + at, top));
}

class CellSum {
  notCompared = 0;
  #tokens = 0;
  readonly #distance = new DistanceSum();
  readonly #sums = new Map<number, { before: number; after: number }>();
  readonly #changes = new Map<number, { change: number; token: number; largest: number }>();

  add(
    token: number,
    before: ReadonlyMap<number, number>,
    after: ReadonlyMap<number, number>,
  ): void {
    const changes = changesBetween(before, after);
    this.#tokens++;
    this.#distance.add(changes, before, after);
    for (const [side, acts] of [["before", before] as const, ["after", after] as const])
      for (const [latent, act] of acts) {
        const sum = this.#sums.get(latent) ?? { before: 0, after: 0 };
        this.#sums.set(latent, sum);
        sum[side] += act;
      }
    for (const change of changes) {
      const size = sizeOf(change);
      const sum = this.#changes.get(change.latent) ?? { change: 0, token, largest: 0 };
      this.#changes.set(change.latent, sum);
      sum.change += size;
      if (size > sum.largest) Object.assign(sum, { token, largest: size });
    }
  }

  result(leftOut: number, affected: number, top: number): CounterfactualCell {
    const latents = [...this.#changes].map(([latent, { change, token }]): CellLatent => {
      const { before, after } = this.#sums.get(latent) ?? { before: 0, after: 0 };
      return { latent, kind: kindOf(before, after), before, after, change, token };
    });
    return {
      leftOut,
      affected,
      tokens: this.#tokens,
      notCompared: this.notCompared,
      ...this.#distance.result(),
      counts: countsOf(latents),
      latents: latents.toSorted((a, b) => b.change - a.change).slice(0, top),
    };
  }
}
