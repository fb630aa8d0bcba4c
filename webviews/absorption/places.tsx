/** The way back from a label, a word or a latent to the workspace's files. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type {
  AbsorptionSetting,
  LabelReport,
  WordReport,
} from "../../server/protocol/absorption.ts";
import type { Occurrence, SoughtPlaces } from "../../server/protocol/occurrences.ts";
import { figure } from "../text/heat-modes.ts";
import { visibleText } from "../text/visible-text.ts";
import { Split } from "./label-details.tsx";
import { type PlacesModel, type PlacesState, wordAt } from "./places-model.ts";

/** What the places are about. */
interface About {
  readonly uri?: string | undefined;
  readonly sae: string;
  /** The task that was measured. */
  readonly task: string;
  readonly setting: AbsorptionSetting;
}

interface Sought {
  readonly title: string;
  readonly sought: SoughtPlaces;
}

/** What to look for, and what was found. */
export function Places(props: {
  places: PlacesModel;
  about?: About;
  label?: LabelReport | undefined;
  word?: WordReport | undefined;
}): JSX.Element {
  const { places, label, word, about } = props;
  const { state } = places;
  return (
    <section aria-label="In the workspace">
      <h2>In the workspace</h2>
      {about && label && (
        <Form places={places} about={about} choices={choicesOf(about, label, word)} />
      )}
      {state.problem !== undefined && (
        <p class="problem" role="alert">
          {state.problem}
        </p>
      )}
      <p class="facts" role="status">
        {state.progress ? (
          <>
            <progress max={1} value={state.progress.share} aria-label="Read" />{" "}
            {visibleText(state.progress.text)}…
          </>
        ) : (
          state.found && summary(state)
        )}
      </p>
      {state.found && (
        <div class="columns">
          <div>
            <List places={places} />
            <LeftOut files={state.found.leftOut} />
          </div>
          <Case state={state} />
        </div>
      )}
    </section>
  );
}

function Form(props: {
  places: PlacesModel;
  about: About;
  choices: readonly Sought[];
}): JSX.Element {
  const { places, about, choices } = props;
  const [at, choose] = useState(0);
  // Another label has other words and latents.
  const chosen = choices[Math.min(at, choices.length - 1)]!;
  const models = { sae: about.sae, ...(about.uri === undefined ? {} : { uri: about.uri }) };
  return (
    <form
      class="controls"
      onSubmit={(event) => {
        event.preventDefault();
        if (places.state.progress) places.cancel();
        else void places.find(chosen.title, chosen.sought, models);
      }}
    >
      <label>
        places of
        <select
          value={choices.indexOf(chosen)}
          onChange={(event) => choose(Number(event.currentTarget.value))}
        >
          {choices.map(({ title }, index) => (
            <option key={title} value={index}>
              {title}
            </option>
          ))}
        </select>
      </label>
      <button type="submit" class={places.state.progress ? undefined : "secondary"}>
        {places.state.progress ? "Stop" : "Find"}
      </button>
    </form>
  );
}

function choicesOf(
  { task, setting }: About,
  { label, main, absorbers }: LabelReport,
  word: WordReport | undefined,
): Sought[] {
  const ofLabel = { kind: "label", task, setting, label } as const;
  return [
    { title: `words with “${visibleText(label)}”`, sought: ofLabel },
    ...(word
      ? [
          {
            title: `the word “${visibleText(word.word)}”`,
            sought: { ...ofLabel, word: word.word },
          },
        ]
      : []),
    ...main.map((it) => ofLatent("main latent", it.latent)),
    ...absorbers.map((it) => ofLatent("absorber", it.latent)),
  ];
}

function ofLatent(name: string, latent: number): Sought {
  return { title: `${name} #${latent}`, sought: { kind: "latent", latent } };
}

function summary({ title = "", found }: PlacesState): string {
  const { places = [], total = 0, files = 0 } = found ?? {};
  const read = `${files} ${files === 1 ? "file" : "files"} read`;
  if (total === 0) return `${title}: nowhere in the files that are read (${read})`;
  const shown = total > places.length ? `, the first ${places.length} are listed` : "";
  return `${title}: ${total} ${total === 1 ? "place" : "places"} (${read})${shown}`;
}

/** Arrows go along the list, Enter goes to the editor. */
function List({ places }: { places: PlacesModel }): JSX.Element | null {
  const { found, chosen } = places.state;
  if (!found || found.places.length === 0) return null;
  return (
    <ul class="scroll places" aria-label="Places" onKeyDown={step}>
      {found.places.map((place) => (
        <li key={`${place.uri} ${place.startOffset} ${place.verdict?.label}`}>
          <button
            class="place"
            aria-current={place === chosen ? "true" : undefined}
            onClick={() => void places.open(place)}
          >
            <span class="quiet">
              {visibleText(place.name)}:{place.line + 1}
            </span>{" "}
            <span class="snippet">
              {visibleText(place.before)}
              <mark>{visibleText(place.text)}</mark>
              {visibleText(place.after)}
            </span>{" "}
            <span class="quiet">{said(place)}</span>
          </button>
        </li>
      ))}
    </ul>
  );
}

function step(event: KeyboardEvent): void {
  const list = event.currentTarget as HTMLUListElement;
  const buttons = [...list.querySelectorAll("button")];
  const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
  const targets = new Map([
    ["ArrowDown", at + 1],
    ["ArrowUp", at - 1],
    ["Home", 0],
    ["End", buttons.length - 1],
  ]);
  const target = targets.get(event.key);
  if (target === undefined) return;
  event.preventDefault();
  buttons[Math.max(0, Math.min(buttons.length - 1, target))]?.focus();
}

/** Activation of a latent that was looked for, and what is said of the word. */
function said({ act, verdict }: Occurrence): string {
  const parts = [
    ...(act === undefined ? [] : [figure(act)]),
    ...(verdict ? [verdictText(verdict)] : []),
  ];
  return parts.join(" · ");
}

function verdictText({ verdict, isPartial }: NonNullable<Occurrence["verdict"]>): string {
  switch (verdict) {
    case "absorbed":
      return "absorbed";
    case "fires":
      return isPartial ? "fires, in part" : "fires";
    case "no-latent":
      return "no latent";
    case "not-judged":
      return "not judged";
    default:
      return verdict satisfies never;
  }
}

function LeftOut({ files }: { files: readonly string[] }): JSX.Element | null {
  if (files.length === 0) return null;
  return (
    <details>
      <summary>
        {files.length} {files.length === 1 ? "file" : "files"} left out
      </summary>
      <ul>
        {files.map((it) => (
          <li key={it}>{visibleText(it)}</li>
        ))}
      </ul>
    </details>
  );
}

/** The word that was gone to, as it stands in its text. */
function Case({ state }: { state: PlacesState }): JSX.Element | null {
  const { chosen, found } = state;
  const word = chosen && wordAt(chosen);
  if (!chosen?.verdict || !word || !found) return null;
  const { verdict } = chosen;
  const main = verdict.main ?? [];
  return (
    <div>
      <p class="facts">
        {visibleText(chosen.name)}:{chosen.line + 1}: {verdictText(verdict)}; probe{" "}
        {(verdict.probability ?? 0).toFixed(2)} for “{visibleText(verdict.label ?? "")}” (F1{" "}
        {(verdict.probeF1 ?? 0).toFixed(2)}); main latents{" "}
        {main
          .map(
            ({ latent, activation }) =>
              `#${latent} ${activation > 0 ? figure(activation) : "silent"}`,
          )
          .join(", ")}
      </p>
      <Split
        word={word}
        main={new Set(main.map(({ latent }) => latent))}
        names={found.names}
        title="Projection in the text"
      />
    </div>
  );
}
