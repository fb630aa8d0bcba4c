/** Latents that appear, vanish and change: over a whole text, and at one token. */
import type { JSX } from "preact";
import type {
  ChangeKind,
  ComparisonView,
  LatentTotals,
  TokenChange,
} from "../../server/protocol/comparison.ts";
import { figure } from "../text/heat-modes.ts";
import { visibleText } from "../text/visible-text.ts";
import type { ComparisonModel } from "./comparison-model.ts";

/** A latent's number; choosing it pins the latent. */
export function LatentButton({
  latent,
  onPin,
}: {
  latent: number;
  onPin: (latent: number) => void;
}): JSX.Element {
  return (
    <button class="link" title="Pin" onClick={() => onPin(latent)}>
      #{latent}
    </button>
  );
}

/** The kind with a sign of its own, so that it can be seen at a glance and without colours. */
export function Kind({ kind }: { kind: ChangeKind }): JSX.Element {
  const sign = { appears: "+", vanishes: "−", changes: "±" }[kind];
  return (
    <span class={`kind ${kind}`}>
      {sign} {kind}
    </span>
  );
}

/** The latents of the whole text. */
export function LatentTable({
  model,
  view,
}: {
  model: ComparisonModel;
  view: ComparisonView;
}): JSX.Element {
  const { counts, labels, rows } = view;
  const all = counts.appears + counts.vanishes + counts.changes;
  return (
    <div class="pane">
      <table>
        <caption>
          The strongest {model.latents.length} of the {all} latents that appear ({counts.appears}),
          vanish ({counts.vanishes}) or change ({counts.changes}), by Σ|after − before|
        </caption>
        <thead>
          <tr>
            {["Change", "Latent", "", "Before", "After", "Most at", "Label"].map((name) => (
              <th scope="col" key={name}>
                {name || <span class="sr-only">What it does</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {model.latents.map(({ latent, kind, before, after, change, strongest }) => {
            const row = rows[strongest.row];
            const token = view.after[row?.after ?? -1] ?? view.before[row?.before ?? -1];
            return (
              <tr key={latent}>
                <td class="number">{figure(change)}</td>
                <th scope="row">
                  <LatentButton {...{ latent }} onPin={(it) => model.pin(view.sae, it)} />
                </th>
                <td>
                  <Kind kind={kind} />
                </td>
                <Totals totals={before} />
                <Totals totals={after} />
                <td>
                  <button class="link" onClick={() => model.revealRow(strongest.row)}>
                    {visibleText(token?.text ?? "")}
                  </button>{" "}
                  <span class="position">
                    {figure(strongest.before)} → {figure(strongest.after)}
                  </span>
                </td>
                <td>{visibleText(labels[latent] ?? "")}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Totals({ totals: { sum, tokens } }: { totals: LatentTotals }): JSX.Element {
  return (
    <td class="number">
      {tokens === 0 ? (
        <span class="position">silent</span>
      ) : (
        <>
          {figure(sum)}{" "}
          <span class="position">
            at {tokens} {tokens === 1 ? "token" : "tokens"}
          </span>
        </>
      )}
    </td>
  );
}

/** The latents of the token that is chosen. */
export function TokenTable({
  model,
  view,
}: {
  model: ComparisonModel;
  view: ComparisonView;
}): JSX.Element | null {
  const row = view.rows[model.row ?? -1];
  if (!row) return null;
  const text = visibleText(
    (view.after[row.after ?? -1] ?? view.before[row.before ?? -1])?.text ?? "",
  );
  if (row.before === undefined || row.after === undefined)
    return (
      <p class="facts">
        “{text}” is in the {row.after === undefined ? "first" : "second"} text alone: its hover in
        the editor lists its latents.
      </p>
    );
  if (!row.counts)
    return <p class="facts">“{text}” begins its context, where activations are of another size.</p>;
  return (
    <div class="pane">
      <table>
        <caption>
          “{text}”: {figure(row.change)} in all, dissimilarity {row.dissimilarity.toFixed(3)}
          {row.latents.length === 0 && "; no latent changes here"}
        </caption>
        <thead>
          <tr>
            {["Latent", "Before", "After", "Label"].map((name) => (
              <th scope="col" key={name}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {row.latents.map((change: TokenChange) => (
            <tr key={change.latent}>
              <th scope="row">
                <LatentButton latent={change.latent} onPin={(it) => model.pin(view.sae, it)} />
              </th>
              <td class="number">{figure(change.before)}</td>
              <td class="number">{figure(change.after)}</td>
              <td>{visibleText(view.labels[change.latent] ?? "")}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
