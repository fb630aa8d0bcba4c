import type { JSX } from "preact";
import type { ToyResult } from "../../server/protocol/toy.ts";
import { latentOrder } from "./latent-order.ts";
import { two } from "./toy-texts.ts";

/** The heat map in figures. */
export function CosineTable(props: { result: ToyResult; isEncoder: boolean }): JSX.Element {
  const { result, isEncoder } = props;
  const cosines = isEncoder ? result.encoderCosines : result.cosines;
  const order = latentOrder(result);
  return (
    // A region that scrolls must be reachable by keyboard.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- see above
    <div class="scroll" tabIndex={0} role="region" aria-label="Cosines">
      <table class="figures">
        <caption>
          Cosine of feature and {isEncoder ? "column of W_enc" : "row of W_dec"}; the feature's
          latent is marked *
        </caption>
        <thead>
          <tr>
            <th scope="col">Feature</th>
            {order.map((latent) => (
              <th scope="col" key={latent}>
                #{latent}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {result.features.map(({ name, latent: own }, row) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              {order.map((latent) => (
                <td key={latent}>
                  {two(cosines[row]?.[latent] ?? 0)}
                  {latent === own && "*"}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
