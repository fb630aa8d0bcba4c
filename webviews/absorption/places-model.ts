/** Where a label's words, one word or a latent stand in the workspace's files, without drawing. */
import type { WordReport } from "../../server/protocol/absorption.ts";
import type {
  AbsorptionCase,
  Occurrence,
  OccurrenceMethods,
  SoughtPlaces,
} from "../../server/protocol/occurrences.ts";
import { type DecoderHost, problemText } from "../decoders/decoder-host.ts";

/** Everything that is drawn of places. */
export interface PlacesState {
  /** What was looked for last, in words. */
  readonly title?: string;
  readonly found?: ReturnType<OccurrenceMethods["occurrences"]> | undefined;
  /** The place that is looked at. */
  readonly chosen?: Occurrence | undefined;
  /** While files are read: how far it is. */
  readonly progress?: { readonly share: number; readonly text: string } | undefined;
  readonly problem?: string | undefined;
}

const [progressMs, limit] = [300, 500];

/** The model; `onChange` is told after every change of `state`. */
export class PlacesModel {
  readonly #host: DecoderHost;
  readonly #onChange: () => void;
  #cancel: AbortController | undefined;
  #state: PlacesState = {};

  constructor(host: DecoderHost, onChange: () => void) {
    this.#host = host;
    this.#onChange = onChange;
  }

  get state(): PlacesState {
    return this.#state;
  }

  /** Looks for places; a search that is under way ends. */
  async find(
    title: string,
    sought: SoughtPlaces,
    models: { readonly uri?: string; readonly sae: string },
  ): Promise<void> {
    this.#cancel?.abort();
    const cancel = new AbortController();
    this.#cancel = cancel;
    const progress = { share: 0, text: "looking for files" };
    this.#set({ title, found: undefined, chosen: undefined, problem: undefined, progress });
    const timer = setInterval(() => void this.#askProgress(cancel), progressMs);
    try {
      const asked = { ...models, sought, limit };
      const found = await this.#host.call("occurrences", asked, cancel.signal);
      if (this.#cancel === cancel) this.#set({ found });
    } catch (error) {
      if (this.#cancel === cancel) this.#set({ problem: problemText(error) });
    } finally {
      clearInterval(timer);
      if (this.#cancel === cancel) this.#set({ progress: undefined });
    }
  }

  /** Ends the search. */
  cancel(): void {
    this.#cancel?.abort();
  }

  /** Shows a place in the editor, and how its word's projection divides on the page. */
  async open(place: Occurrence): Promise<void> {
    this.#set({ chosen: place, problem: undefined });
    const { uri, startOffset, endOffset } = place;
    try {
      await this.#host.call("reveal", { uri, startOffset, endOffset });
    } catch (error) {
      this.#set({ problem: problemText(error) });
    }
  }

  /** Looks at the place of a case, without going there: that is where the user comes from. */
  choose({ uri, startOffset, label }: AbsorptionCase): void {
    const chosen = this.#state.found?.places.find(
      (it) => it.uri === uri && it.startOffset === startOffset && it.verdict?.label === label,
    );
    this.#set(
      chosen
        ? { chosen }
        : { problem: "that word is not there any more, or it is judged otherwise" },
    );
  }

  async #askProgress(cancel: AbortController): Promise<void> {
    const progress = await this.#host.call("occurrencesProgress", {}).catch(() => undefined);
    if (progress && this.#cancel === cancel && this.#state.progress) this.#set({ progress });
  }

  #set(change: Partial<PlacesState>): void {
    this.#state = { ...this.#state, ...change };
    this.#onChange();
  }
}

/** A judged word at a place as the page splits it; undefined where it was not judged. */
export function wordAt({ verdict, text }: Occurrence): WordReport | undefined {
  if (verdict?.projection === undefined) return undefined;
  const { projection, mainProjection = 0, fraction = 0, isPartial = false, main = [] } = verdict;
  return {
    word: text,
    projection,
    mainProjection,
    mainFires: main.some(({ activation }) => activation > 0),
    fraction,
    isFull: verdict.verdict === "absorbed",
    isPartial,
    strongest: verdict.strongest ?? [],
  };
}
