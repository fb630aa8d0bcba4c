/** One result: cosines of features and latents, absorption of each parent, the course of the loss. */
import type { JSX } from "preact";
import type { ToyResult } from "../../server/protocol/toy.ts";
import { CosineMap } from "./cosine-map.tsx";
import { CosineTable } from "./cosine-table.tsx";
import { LossCurve } from "./loss-curve.tsx";
import type { Kept } from "./toy-model.ts";
import { percent, subtitleOf, titleOf, two } from "./toy-texts.ts";

interface CardProps {
  readonly kept: Kept;
  readonly showsTables: boolean;
  readonly showsEncoder: boolean;
  readonly onRemove: () => void;
}

/** The card. */
export function ResultCard({ kept, showsTables, showsEncoder, onRemove }: CardProps): JSX.Element {
  const { id, result } = kept;
  const title = `${id}. ${titleOf(kept)}`;
  return (
    <article class="card" aria-label={title}>
      <header>
        <h2>{title}</h2>
        <button class="secondary" onClick={onRemove} aria-label={`Remove ${title}`}>
          Remove
        </button>
      </header>
      <p class="facts">{subtitleOf(kept)}</p>
      <Absorption result={result} />
      {showsTables ? (
        <CosineTable result={result} isEncoder={showsEncoder} />
      ) : (
        <CosineMap result={result} isEncoder={showsEncoder} />
      )}
      <LossCurve curve={result.curve} showsTable={showsTables} />
    </article>
  );
}

function Absorption({ result }: { result: ToyResult }): JSX.Element {
  const { parents, features } = result;
  const name = (at: number) => features[at]?.name ?? "";
  const shown = parents.filter(({ kind }) => kind === "child");
  const pairs = parents.filter(({ kind }) => kind === "pair");
  return (
    <table class="absorption">
      <caption>
        Absorption: share of the rows with parent and child in which the parent's latent is silent
        and children's latents carry it
      </caption>
      <thead>
        <tr>
          <th scope="col">Parent</th>
          <th scope="col">Absorbed</th>
          <th scope="col" title="Mean share of the parent that children's latents reconstruct">
            Carried
          </th>
          <th scope="col" title="Share of its rows without a child in which its latent is active">
            Alone
          </th>
        </tr>
      </thead>
      <tbody>
        {[...shown, ...pairs].map((it) => (
          <tr key={`${it.parent} ${it.kind}`}>
            <th scope="row" title={`with ${it.children.map(name).join(", ")}`}>
              {it.kind === "pair"
                ? `${name(it.parent)} by ${it.children.map(name).join(", ")}`
                : name(it.parent)}
            </th>
            <td class="number">
              <Bar share={it.absorbed} />
              {it.absorbed === null ? "no latent tracks it" : percent(it.absorbed)}
            </td>
            <td class="number">{percent(it.carried)}</td>
            <td class="number">{percent(it.recallAlone)}</td>
          </tr>
        ))}
        {parents.length === 0 && (
          <tr>
            <td colSpan={4}>There are no parents and no pairs.</td>
          </tr>
        )}
      </tbody>
      <tfoot>
        <tr>
          <td colSpan={4}>
            Recovery {two(result.recovery.matchedCosine)}, L0 {two(result.sae.l0)} for{" "}
            {two(result.sae.trueL0)} active features, FVU {result.sae.fvu.toFixed(3)}
          </td>
        </tr>
      </tfoot>
    </table>
  );
}

/** A share as a bar; the figure beside it says the same. */
function Bar({ share }: { share: number | null }): JSX.Element {
  return (
    <svg class="bar" viewBox="0 0 40 8" aria-hidden="true">
      <rect class="rest" width="40" height="8" />
      <rect width={40 * (share ?? 0)} height="8" />
    </svg>
  );
}
