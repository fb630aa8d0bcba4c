/** What a search by examples came to, above the list of its latents. */
import type { JSX } from "preact";
import { summaryLines } from "../../server/protocol/find-text.ts";
import type { FoundLatents, HeldOut } from "../../server/protocol/find.ts";
import { figure } from "../text/heat-modes.ts";

/** Scores of combinations and of the probe without latents, of how many examples, and what speaks against them. */
export function Found(props: {
  found: FoundLatents;
  open: (latent: number) => void;
  showAll: () => void;
}): JSX.Element {
  const { found, open, showAll } = props;
  return (
    <section class="found" aria-label="Latents that tell the examples apart">
      <p class="quiet">
        Latents that tell the examples apart, by AUC on held-out ones.{" "}
        <button class="link" onClick={showAll}>
          Show all
        </button>
      </p>
      <table class="figures">
        <caption>Together, and without latents</caption>
        <thead>
          <tr>
            <th scope="col">Probe on</th>
            <th scope="col">AUC</th>
            <th scope="col">F1</th>
          </tr>
        </thead>
        <tbody>
          {found.combinations.map((it) => (
            <Row key={it.latents.length} scores={it}>
              {it.latents.map((latent, at) => (
                <span key={latent}>
                  {at > 0 && " + "}
                  <button class="link" onClick={() => open(latent)}>
                    #{latent}
                  </button>
                </span>
              ))}
            </Row>
          ))}
          <Row scores={found.baseline}>mean residual</Row>
        </tbody>
      </table>
      {summaryLines(found).map((line) => (
        <p key={line} class="quiet">
          {line}
        </p>
      ))}
    </section>
  );
}

function Row(props: { scores: HeldOut; children: preact.ComponentChildren }): JSX.Element {
  const { scores, children } = props;
  return (
    <tr>
      <th scope="row">{children}</th>
      <td>{figure(scores.auc)}</td>
      <td>{figure(scores.f1)}</td>
    </tr>
  );
}
