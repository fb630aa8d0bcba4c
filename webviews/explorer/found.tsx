/** What a search by examples came to, above the list of its latents. */
import type { JSX } from "preact";
import { summaryLines } from "../../server/protocol/find-text.ts";
import type { FoundCombination, FoundLatents } from "../../server/protocol/find.ts";
import { figure } from "../text/heat-modes.ts";

/** Scores of combinations and of the probe without latents, of how many examples, and what speaks against them. */
export function Found(props: {
  found: FoundLatents;
  open: (latent: number) => void;
  showAll: () => void;
}): JSX.Element {
  const { found, open, showAll } = props;
  const { auc, f1 } = found.baseline;
  const [counts, ...notes] = summaryLines(found);
  return (
    <section class="found" aria-label="Latents that tell the examples apart">
      <p class="quiet">
        Latents that tell the examples apart, by AUC on held-out ones. Without latents, a probe on
        the mean residual: AUC {figure(auc)}, F1 {figure(f1)}.{" "}
        <button class="link" onClick={showAll}>
          Show all
        </button>
      </p>
      {notes.map((line) => (
        <p key={line} class="quiet">
          {line}
        </p>
      ))}
      <details>
        <summary>Together</summary>
        <table class="figures">
          <caption>Probes on one to four latents</caption>
          <thead>
            <tr>
              <th scope="col">Latents</th>
              <th scope="col">AUC</th>
              <th scope="col">F1</th>
            </tr>
          </thead>
          <tbody>
            {found.combinations.map((it) => (
              <Row key={it.latents.length} combination={it} open={open} />
            ))}
          </tbody>
        </table>
        <p class="quiet">{counts}</p>
      </details>
    </section>
  );
}

function Row(props: {
  combination: FoundCombination;
  open: (latent: number) => void;
}): JSX.Element {
  const { latents, auc, f1 } = props.combination;
  return (
    <tr>
      <th scope="row">
        {latents.map((latent, at) => (
          <span key={latent}>
            {at > 0 && " + "}
            <button class="link" onClick={() => props.open(latent)}>
              #{latent}
            </button>
          </span>
        ))}
      </th>
      <td>{figure(auc)}</td>
      <td>{figure(f1)}</td>
    </tr>
  );
}
