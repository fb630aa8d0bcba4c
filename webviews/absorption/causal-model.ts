/** What the absorption page knows of the paper's causal rule, without drawing. */
import type { AbsorptionSetting } from "../../server/protocol/absorption.ts";
import type {
  CausalLabel,
  CausalPageMethods,
  CausalWord,
} from "../../server/protocol/causal-absorption.ts";
import { type DecoderHost, problemText } from "../decoders/decoder-host.ts";

/** What was measured, and is judged by the rule. */
export interface CausalSubject {
  readonly uri?: string;
  readonly sae: string;
  readonly labels: string;
  readonly setting: AbsorptionSetting;
}

/** Everything that is drawn of it. */
export interface CausalState {
  readonly subject?: CausalSubject;
  /** Words of a label that are judged at most. */
  readonly words: number;
  readonly found?: ReturnType<CausalPageMethods["causalAbsorption"]> | undefined;
  /** The label that is looked at, if the rule was asked about it. */
  readonly label?: CausalLabel | undefined;
  readonly word?: CausalWord | undefined;
  /** Whether effects are shown of all labels or of the one that is looked at. */
  readonly effectsOf: "all" | "label";
  /** While words are judged: how far it is. */
  readonly progress?: { readonly share: number; readonly text: string } | undefined;
  readonly problem?: string | undefined;
}

const [progressMs, wordsAtFirst] = [500, 50];
/** The paper's code judges so many words of a letter. */
export const mostWords = 200;

/** The model; `onChange` is told after every change of `state`. */
export class CausalModel {
  readonly #host: DecoderHost;
  readonly #onChange: () => void;
  #name: string | undefined;
  #cancel: AbortController | undefined;
  #state: CausalState = { words: wordsAtFirst, effectsOf: "all" };

  constructor(host: DecoderHost, onChange: () => void) {
    this.#host = host;
    this.#onChange = onChange;
  }

  get state(): CausalState {
    return this.#state;
  }

  /** Something else was measured: what was judged is about it no more. */
  about({ uri, sae, labels, setting }: CausalSubject): void {
    this.cancel();
    const subject = { sae, labels, setting, ...(uri === undefined ? {} : { uri }) };
    this.#set({ subject, found: undefined, problem: undefined });
    this.chooseLabel(undefined);
  }

  /** Changes how many words of a label are judged. */
  setWords(words: number): void {
    if (Number.isInteger(words) && words >= 1) this.#set({ words: Math.min(words, mostWords) });
  }

  /** Judges what was measured. */
  async judge(): Promise<void> {
    const { subject, words } = this.#state;
    if (!subject) return;
    const cancel = new AbortController();
    this.#cancel = cancel;
    this.#set({ progress: { share: 0, text: "beginning" }, problem: undefined });
    const timer = setInterval(() => void this.#askProgress(cancel), progressMs);
    try {
      const { setting: _, ...question } = subject;
      const asked = { ...question, words };
      const found = await this.#host.call("causalAbsorption", asked, cancel.signal);
      if (this.#cancel === cancel) {
        this.#set({ found });
        this.chooseLabel(this.#name);
      }
    } catch (error) {
      if (this.#cancel === cancel) this.#set({ problem: problemText(error) });
    } finally {
      clearInterval(timer);
      if (this.#cancel === cancel) this.#set({ progress: undefined });
    }
  }

  /** Ends it. */
  cancel(): void {
    this.#cancel?.abort();
  }

  /** Looks at a label, and at the first of its words. */
  chooseLabel(name: string | undefined): void {
    this.#name = name;
    const label = this.#state.found?.report.labels.find((it) => it.label === name);
    this.#set({ label, word: label && byVerdict(label.words)[0] });
  }

  /** Looks at a word of the label. */
  chooseWord(word: CausalWord): void {
    this.#set({ word });
  }

  /** Shows effects of all labels or of the one that is looked at. */
  showEffects(effectsOf: CausalState["effectsOf"]): void {
    this.#set({ effectsOf });
  }

  async #askProgress(cancel: AbortController): Promise<void> {
    const progress = await this.#host.call("absorptionProgress", {}).catch(() => undefined);
    if (progress && this.#cancel === cancel && this.#state.progress) this.#set({ progress });
  }

  #set(change: Partial<CausalState>): void {
    this.#state = { ...this.#state, ...change };
    this.#onChange();
  }
}

/** Words that are absorbed first, then in part, then the others; the larger margin first. */
export function byVerdict(words: readonly CausalWord[]): readonly CausalWord[] {
  const order: readonly CausalWord["verdict"][] = ["absorbed", "partial", "none"];
  return words.toSorted(
    (a, b) => order.indexOf(a.verdict) - order.indexOf(b.verdict) || b.margin - a.margin,
  );
}

/** One step of the rule for a word, in words, with its answer. */
export interface CausalStep {
  readonly text: string;
  readonly passes: boolean;
}

/** The steps of the rule in its order; `figure` prints numbers, `thresholds` are those of the report. */
export function stepsOf(
  word: CausalWord,
  thresholds: Readonly<Record<string, number>>,
  figure: (value: number, digits: number) => string,
): readonly CausalStep[] {
  const { top, isSilent, lowers, standsOut, isAligned, mainCounts } = word;
  const others = isSilent ? "" : " besides the main ones";
  const first = top ? `#${top.latent}` : "none";
  return [
    {
      text: `the probe knows the word, and the main latents' own probe misses it (score ${figure(word.sparseScore, 2)})`,
      passes: true,
    },
    {
      text: `main latents are silent (activations sum to ${figure(word.mainActivation, 2)})`,
      passes: isSilent,
    },
    ...(isSilent
      ? []
      : [
          {
            text: `for absorption in part: a main latent that fires points along the probe, and the score of those that fire is at most ${figure(-(thresholds["partialMainEffect"] ?? 0), 1)} (${figure(word.mainScore, 2)})`,
            passes: mainCounts,
          },
        ]),
    {
      text: `removing the first latent${others} lowers the logit difference (${first}${top ? `, score ${figure(top.score, 2)}` : ""})`,
      passes: lowers,
    },
    {
      text: `it stands out: ${figure(word.margin, 2)} before the next, at least ${thresholds["margin"]}`,
      passes: standsOut,
    },
    {
      text: `it points along the probe: cosine ${top ? figure(top.cosine, 3) : "–"}, at least ${thresholds["cosine"]}`,
      passes: isAligned,
    },
  ];
}
