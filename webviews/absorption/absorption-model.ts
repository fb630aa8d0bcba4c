/** What the absorption page knows and asks for, without drawing. */
import type {
  AbsorptionPageMethods,
  AbsorptionSetting,
  LabelReport,
  LatentShare,
  MeasuredAbsorption,
  WordReport,
} from "../../server/protocol/absorption.ts";
import type { AbsorptionCase } from "../../server/protocol/occurrences.ts";
import { type DecoderHost, problemText } from "../decoders/decoder-host.ts";
import { visibleText } from "../text/visible-text.ts";
import { CausalModel } from "./causal-model.ts";
import { PlacesModel } from "./places-model.ts";

/** What the form holds. */
interface AbsorptionForm {
  readonly sae: string;
  readonly labels: string;
  readonly setting: AbsorptionSetting;
  /** Files of running text; none: the bundled sample. */
  readonly texts: readonly string[];
}

/** Everything that is drawn. */
export interface AbsorptionState {
  readonly choices?: ReturnType<AbsorptionPageMethods["absorptionChoices"]>;
  readonly form: AbsorptionForm;
  /** While something is measured: how far it is. */
  readonly progress?: { readonly share: number; readonly text: string } | undefined;
  readonly measured?: MeasuredAbsorption;
  readonly label?: LabelReport | undefined;
  readonly word?: WordReport | undefined;
  /** Words of the label that are listed. */
  readonly listed: number;
  readonly problem?: string | undefined;
}

/** A part of a word's projection. */
export type WordPart =
  | { readonly kind: "latent"; readonly share: LatentShare; readonly isMain: boolean }
  | {
      readonly kind: "main";
      readonly projection: number;
      /** No main latent is a part of its own. */
      readonly isAll: boolean;
    }
  | { readonly kind: "rest"; readonly projection: number };

const [progressMs, page] = [500, 50];

/** The model; `onChange` is told after every change of `state`. */
export class AbsorptionModel {
  readonly #host: DecoderHost;
  readonly #onChange: () => void;
  #uri: string | undefined;
  #cancel: AbortController | undefined;
  /** Where words and latents stand in the workspace. */
  readonly places: PlacesModel;
  /** What the paper's rule says of what was measured. */
  readonly causal: CausalModel;
  #state: AbsorptionState = {
    form: { sae: "", labels: "", setting: "prompts", texts: [] },
    listed: page,
  };

  constructor(host: DecoderHost, onChange: () => void) {
    this.#host = host;
    this.#onChange = onChange;
    this.places = new PlacesModel(host, onChange);
    this.causal = new CausalModel(host, onChange);
  }

  /** The document whose models are meant. */
  get uri(): string | undefined {
    return this.#uri;
  }

  get state(): AbsorptionState {
    return this.#state;
  }

  /** Asks what can be measured. */
  async start(): Promise<void> {
    await this.#ask(async () => {
      const { uri, absorbed } = await this.#host.call("start", {});
      this.#uri = uri;
      const choices = await this.#host.call("absorptionChoices", this.#of());
      const [sae, task] = [choices.saes[0]?.id ?? "", choices.tasks[0]?.labels ?? ""];
      this.#set({ choices, form: { ...this.#state.form, sae, labels: task } });
      if (absorbed) await this.#showCase(absorbed);
    });
  }

  /** Shows an absorbed word of a text, beside its task's figures where they are at hand. */
  async #showCase(absorbed: AbsorptionCase): Promise<void> {
    const { sae, task, setting, label } = absorbed;
    const { question } = await this.#host.call("measuredAs", { sae, task, setting });
    const named = this.#state.choices?.tasks.find((it) => it.name === task)?.labels;
    this.change({ sae, setting, labels: question?.labels ?? named ?? this.#state.form.labels });
    this.change({ texts: question?.texts ?? [] });
    // What was measured is kept; without it the user decides.
    if (question) {
      await this.measure();
      const found = this.#state.measured?.report.labels.find((it) => it.label === label);
      if (found) this.chooseLabel(found);
    }
    const sought = { kind: "label", task, setting, label } as const;
    const title = `words with “${visibleText(label)}”`;
    await this.places.find(title, sought, { sae, ...this.#of() });
    this.places.choose(absorbed);
  }

  /** Changes the form. */
  change(change: Partial<AbsorptionForm>): void {
    this.#set({ form: { ...this.#state.form, ...change } });
  }

  /** Lets the user pick running text. */
  async pickTexts(): Promise<void> {
    await this.#ask(async () => this.change({ texts: await this.#host.call("pickTexts", {}) }));
  }

  /** Measures what the form says. */
  async measure(): Promise<void> {
    const cancel = new AbortController();
    this.#cancel = cancel;
    this.#set({ progress: { share: 0, text: "loading" } });
    const timer = setInterval(() => void this.#askProgress(cancel), progressMs);
    await this.#ask(async () => {
      const { texts, ...form } = this.#state.form;
      const question = {
        ...form,
        ...this.#of(),
        ...(form.setting === "text" && texts.length > 0 ? { texts } : {}),
      };
      const measured = await this.#host.call("measureAbsorption", question, cancel.signal);
      this.#set({ measured });
      this.causal.about(question);
      this.chooseLabel(firstLook(measured.report.labels));
    });
    clearInterval(timer);
    this.#cancel = undefined;
    this.#set({ progress: undefined });
  }

  /** Ends the measurement. */
  cancel(): void {
    this.#cancel?.abort();
  }

  /** Looks at a label, and at its most absorbed word. */
  chooseLabel(label: LabelReport | undefined): void {
    this.causal.chooseLabel(label?.label);
    this.#set({ label, word: label && byAbsorption(label.words)[0], listed: page });
  }

  /** Looks at a word of the label. */
  chooseWord(word: WordReport): void {
    this.#set({ word });
  }

  /** Lists more words. */
  more(): void {
    this.#set({ listed: this.#state.listed + page });
  }

  #of(): { uri?: string } {
    return this.#uri === undefined ? {} : { uri: this.#uri };
  }

  async #askProgress(cancel: AbortController): Promise<void> {
    const progress = await this.#host.call("absorptionProgress", {}).catch(() => undefined);
    if (progress && this.#cancel === cancel) this.#set({ progress });
  }

  async #ask(work: () => Promise<void>): Promise<void> {
    try {
      this.#set({ problem: undefined });
      await work();
    } catch (error) {
      this.#set({ problem: problemText(error) });
    }
  }

  #set(change: Partial<AbsorptionState>): void {
    this.#state = { ...this.#state, ...change };
    this.#onChange();
  }
}

/** Words, those absorbed fully first, then in part, then the others; the larger fraction first. */
export function byAbsorption(words: readonly WordReport[]): readonly WordReport[] {
  return words.toSorted((a, b) => rank(b) - rank(a) || b.fraction - a.fraction);
}

/**
 * A word's projection in parts that add up to it: the latents that carry most, the main latents besides these, and the rest
 * (other latents, the decoder's bias, the SAE's error).
 */
export function partsOf(word: WordReport, main: ReadonlySet<number>): readonly WordPart[] {
  const latents = word.strongest.map(
    (share) => ({ kind: "latent", share, isMain: main.has(share.latent) }) as const,
  );
  const sum = (parts: typeof latents): number =>
    parts.reduce((total, { share }) => total + share.projection, 0);
  const shownMain = latents.filter((it) => it.isMain);
  // A difference of sums that should be 0 is 0 only up to rounding.
  const difference = word.mainProjection - sum(shownMain);
  const isRounding = Math.abs(difference) < 1e-6 * Math.abs(word.projection);
  const otherMain = isRounding ? 0 : difference;
  const isAll = shownMain.length === 0;
  return [
    ...latents,
    ...(shownMain.length < main.size
      ? [{ kind: "main", projection: otherMain, isAll } as const]
      : []),
    { kind: "rest", projection: word.projection - otherMain - sum(latents) },
  ];
}

function rank({ isFull, isPartial }: WordReport): number {
  return isFull ? 2 : isPartial ? 1 : 0;
}

/** The label with most words absorbed, of those for which the rule says something. */
function firstLook(labels: readonly LabelReport[]): LabelReport | undefined {
  const judged = labels.filter((it) => it.probeCounts && it.hasMainLatents);
  return judged.toSorted((a, b) => b.full - a.full || b.partial - a.partial)[0] ?? labels[0];
}
