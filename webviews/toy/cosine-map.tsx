/** Cosines of feature directions with latents, as colours; `CosineTable` says the same in figures. */
import type { JSX } from "preact";
import type { ToyResult } from "../../server/protocol/toy.ts";
import { latentOrder } from "./latent-order.ts";
import { two } from "./toy-texts.ts";

const cell = 18;
const left = 74;
const top = 30;

interface MapProps {
  readonly result: ToyResult;
  readonly isEncoder: boolean;
}

/** The map: strong colour is a cosine of 1, a bar in the cell a negative one, a frame the latent that is the feature's. */
export function CosineMap({ result, isEncoder }: MapProps): JSX.Element {
  const { features } = result;
  const cosines = isEncoder ? result.encoderCosines : result.cosines;
  const order = latentOrder(result);
  const width = left + cell * order.length + 2;
  const height = top + cell * features.length + 2;
  return (
    <figure class="map">
      <figcaption>
        Cosine of feature and {isEncoder ? "column of W_enc" : "row of W_dec"}; the frame is the
        feature's latent
      </figcaption>
      <svg
        viewBox={`0 0 ${width} ${height}`}
        width={width}
        height={height}
        role="img"
        aria-label={descriptionOf(result, isEncoder)}
      >
        {order.map((latent, column) => (
          <text
            key={latent}
            x={left + cell * column + cell / 2}
            y={top - 4}
            transform={`rotate(-60 ${left + cell * column + cell / 2} ${top - 4})`}
          >
            #{latent}
          </text>
        ))}
        {features.map(({ name, latent: own }, row) => (
          <g key={name}>
            <text class="row" x={left - 5} y={top + cell * row + cell * 0.7}>
              {name}
            </text>
            {order.map((latent, column) => (
              <Cell
                key={latent}
                at={{ x: left + cell * column, y: top + cell * row }}
                cosine={cosines[row]?.[latent] ?? 0}
                isOwn={latent === own}
                name={`${name}, latent ${latent}`}
              />
            ))}
          </g>
        ))}
      </svg>
    </figure>
  );
}

function Cell(props: {
  readonly at: { readonly x: number; readonly y: number };
  readonly cosine: number;
  readonly isOwn: boolean;
  readonly name: string;
}): JSX.Element {
  const { at, cosine, isOwn, name } = props;
  const size = Math.min(1, Math.abs(cosine));
  const isNegative = cosine < 0;
  return (
    <g>
      <title>{`${name}: ${two(cosine)}`}</title>
      <rect
        class={isNegative ? "negative" : "positive"}
        x={at.x + 1}
        y={at.y + 1}
        width={cell - 2}
        height={cell - 2}
        fill-opacity={size.toFixed(2)}
      />
      {isNegative && size >= 0.2 && (
        <path class="minus" d={`M${at.x + 5} ${at.y + cell / 2}h${cell - 10}`} />
      )}
      <rect
        class={isOwn ? "own" : "edge"}
        x={at.x + 1}
        y={at.y + 1}
        width={cell - 2}
        height={cell - 2}
      />
    </g>
  );
}

function descriptionOf({ features, recovery }: ToyResult, isEncoder: boolean): string {
  const parts = features.map(({ name, latent, cosine, encoderCosine }) => {
    const shown = isEncoder ? encoderCosine : cosine;
    return latent === null ? `${name} has no latent` : `${name} latent ${latent} ${two(shown)}`;
  });
  return `Cosines of features and ${isEncoder ? "encoder" : "decoder"}, mean of the matched ${two(recovery.matchedCosine)}: ${parts.join("; ")}. The button Tables shows all figures.`;
}
