/** Where a latent fires in open documents, and where it was absorbed or absorbs. */
import type { JSX } from "preact";
import type { AbsorbedPlace, FilePlace } from "../../server/protocol/explorer.ts";
import { figure } from "../text/heat-modes.ts";
import { visibleText } from "../text/visible-text.ts";
import type { PageProps } from "./explorer-page.tsx";

/** The lists. */
export function Places({ model, state }: PageProps): JSX.Element {
  const { places, latent = -1 } = state;
  const reveal = (place: FilePlace): void => model.reveal(place);
  return (
    <section class="places" aria-label="Open documents">
      <h2>In open documents</h2>
      {!places && <p class="quiet">Reading the open documents…</p>}
      {places?.total === 0 && <p class="quiet">It fires nowhere in the documents that are read.</p>}
      {places && places.places.length > 0 && (
        <ul>
          {places.places.map((place) => (
            <Place key={keyOf(place)} place={place} what={figure(place.act)} reveal={reveal} />
          ))}
        </ul>
      )}
      {places && places.total > places.places.length && (
        <p class="quiet">
          The first {places.places.length} of {places.total}.
        </p>
      )}
      {places && places.absorbed.length > 0 && (
        <>
          <h2>Absorption in open documents</h2>
          <ul>
            {places.absorbed.map((place) => (
              <Place
                key={keyOf(place)}
                place={place}
                what={roleOf(place, latent)}
                reveal={reveal}
              />
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

function Place({
  place,
  what,
  reveal,
}: {
  place: FilePlace;
  what: string;
  reveal: (place: FilePlace) => void;
}): JSX.Element {
  return (
    <li>
      <button class="place" onClick={() => reveal(place)}>
        <span class="quiet">
          {visibleText(place.name)}:{place.line + 1}
        </span>{" "}
        <span class="snippet">
          {visibleText(place.before)}
          <mark>{visibleText(place.text)}</mark>
          {visibleText(place.after)}
        </span>{" "}
        <span class="number quiet">{what}</span>
      </button>
    </li>
  );
}

function keyOf({ uri, startOffset }: FilePlace): string {
  return `${uri} ${startOffset}`;
}

/** What the latent is at a word: the one that is silent, or the one that took it over. */
function roleOf({ task, label, silent, absorber }: AbsorbedPlace, latent: number): string {
  const feature = visibleText(`${task} ${label}`);
  if (!silent.includes(latent)) return `absorbs ${feature} of #${silent.join(", #")}`;
  return absorber === undefined ? `silent for ${feature}` : `${feature} absorbed by #${absorber}`;
}
