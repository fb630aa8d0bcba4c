/** One label: its absorbers, its words, and how the projection of one word divides. */
import type { JSX } from "preact";
import type { LabelReport, WordReport } from "../../server/protocol/absorption.ts";
import { ShareBar, signed } from "../attribution/share-bar.tsx";
import { decimal } from "../decoders/decimal.ts";
import { LatentName } from "../decoders/latent-name.tsx";
import { visibleText } from "../text/visible-text.ts";
import {
  type AbsorptionModel,
  type AbsorptionState,
  byAbsorption,
  partsOf,
  type WordPart,
} from "./absorption-model.ts";
import { percent } from "./labels-table.tsx";

interface Details {
  readonly model: AbsorptionModel;
  readonly state: AbsorptionState;
  readonly label: LabelReport;
  readonly names: Readonly<Record<string, string>>;
}

/** Everything about the label that is looked at. */
export function LabelDetails(props: Details): JSX.Element {
  const { label, state, names } = props;
  return (
    <section aria-label={`Label ${visibleText(label.label)}`}>
      <h2>{visibleText(label.label)}</h2>
      <p class="facts">
        Main latents:{" "}
        {label.main.map(({ latent, cosine }, at) => (
          <span key={latent}>
            {at > 0 && ", "}
            <Name latent={latent} names={names} /> (cosine with the probe {decimal(cosine, 2)})
          </span>
        ))}
        . {label.words.length} words of which the probe is right; by the rule {label.full} absorbed,{" "}
        {label.partial} in part.
      </p>
      {!label.hasMainLatents && (
        <p class="facts">
          These latents do not know the label (F1 {label.mainProbe.f1.toFixed(2)} on words held
          out): what the rule counts here is absence, not absorption.
        </p>
      )}
      <div class="columns">
        <div>
          <Absorbers {...props} />
          <Words {...props} />
        </div>
        {state.word && (
          <Split
            word={state.word}
            main={new Set(label.main.map(({ latent }) => latent))}
            names={names}
          />
        )}
      </div>
    </section>
  );
}

/** A latent by its number and its label. */
export function Name({ latent, names }: { latent: number } & Pick<Details, "names">): JSX.Element {
  const label = names[String(latent)];
  return <LatentName named={{ latent, ...(label === undefined ? {} : { label }) }} />;
}

function Absorbers({ model, state, label, names }: Details): JSX.Element {
  if (label.absorbers.length === 0) return <p class="facts">No latent took over.</p>;
  const byName = new Map(label.words.map((it) => [it.word, it]));
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Absorbers">
      <table class="absorbers">
        <thead>
          <tr>
            <th scope="col">Absorber</th>
            <th scope="col">Cosine</th>
            <th scope="col">Share</th>
            <th scope="col">Words that it took</th>
          </tr>
        </thead>
        <tbody>
          {label.absorbers.map(({ latent, cosine, meanShare, words }) => (
            <tr key={latent}>
              <td>
                <Name latent={latent} names={names} />
              </td>
              <td class="number">{decimal(cosine, 2)}</td>
              <td class="number">{percent(meanShare)}</td>
              <td>
                {words.map((text, at) => {
                  const word = byName.get(text);
                  return (
                    <span key={`${at} ${text}`}>
                      {at > 0 && " "}
                      <button
                        class="link"
                        aria-pressed={state.word?.word === text}
                        onClick={() => word && model.chooseWord(word)}
                      >
                        {visibleText(text)}
                      </button>
                    </span>
                  );
                })}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Words({ model, state, label }: Details): JSX.Element {
  const words = byAbsorption(label.words);
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Words of the label">
      <table class="words">
        <thead>
          <tr>
            <th scope="col">Word</th>
            <th scope="col">Verdict</th>
            <th scope="col">Projection</th>
            <th scope="col">By main latents</th>
            <th scope="col">Fraction</th>
          </tr>
        </thead>
        <tbody>
          {words.slice(0, state.listed).map((word, at) => (
            <tr key={`${at} ${word.word}`} aria-current={state.word === word ? "true" : undefined}>
              <th scope="row">
                <button class="link" onClick={() => model.chooseWord(word)}>
                  {visibleText(word.word)}
                </button>
              </th>
              <td>{verdict(label, word)}</td>
              <td class="number">{decimal(word.projection, 2)}</td>
              <td class="number">{decimal(word.mainProjection, 2)}</td>
              <td class="number">{word.fraction.toFixed(3)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {words.length > state.listed && (
        <button class="secondary" onClick={() => model.more()}>
          Show more
        </button>
      )}
    </div>
  );
}

/** What is said of a word, as in hovers: the rule's answer counts only where probe and main latents know the label. */
function verdict(
  { probeCounts, hasMainLatents }: LabelReport,
  { isFull, isPartial, mainFires }: WordReport,
): string {
  if (!probeCounts) return "not judged";
  if (!hasMainLatents) return "no latent";
  if (isFull) return "absorbed";
  if (isPartial) return "in part";
  return mainFires ? "fires" : "silent";
}

/** A word's projection in parts that add up. */
export function Split(props: {
  word: WordReport;
  main: ReadonlySet<number>;
  names: Details["names"];
  /** Of the table, for screen readers; a page may have two. */
  title?: string;
}): JSX.Element {
  const { word, main, names, title = "Projection split over latents" } = props;
  const parts = partsOf(word, main);
  const largest = Math.max(...parts.map((part) => Math.abs(projectionOf(part))));
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={title}>
      <table class="split">
        <caption>
          “{visibleText(word.word)}”: its projection onto the probe, split over latents
        </caption>
        <thead>
          <tr>
            <th scope="col">Part</th>
            <th scope="col">
              <span class="sr-only">Bar</span>
            </th>
            <th scope="col">Projection</th>
            <th scope="col">Share</th>
            <th scope="col">Activation</th>
            <th scope="col">Cosine</th>
          </tr>
        </thead>
        <tbody>
          {parts.map((part) => (
            <tr key={part.kind === "latent" ? part.share.latent : part.kind}>
              <th scope="row">
                <PartName part={part} names={names} />
              </th>
              <td>
                <ShareBar value={projectionOf(part)} largest={largest} />
              </td>
              <td class="number">{signed(projectionOf(part))}</td>
              <td class="number">{percent(projectionOf(part) / word.projection)}</td>
              <td class="number">
                {part.kind === "latent" ? decimal(part.share.activation, 2) : "–"}
              </td>
              <td class="number">{part.kind === "latent" ? decimal(part.share.cosine, 2) : "–"}</td>
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">All</th>
            <td />
            <td class="number">{signed(word.projection)}</td>
            <td class="number">{percent(1)}</td>
            <td />
            <td />
          </tr>
        </tfoot>
      </table>
    </div>
  );
}

function PartName({ part, names }: { part: WordPart; names: Details["names"] }): JSX.Element {
  if (part.kind === "rest") return <>other latents, bias and error</>;
  if (part.kind === "main") return <>{part.isAll ? "main latents" : "other main latents"}</>;
  return (
    <>
      <Name latent={part.share.latent} names={names} />
      {part.isMain && <b> main</b>}
    </>
  );
}

function projectionOf(part: WordPart): number {
  return part.kind === "latent" ? part.share.projection : part.projection;
}
