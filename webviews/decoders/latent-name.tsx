import type { JSX } from "preact";
import type { NamedLatent } from "../../server/protocol/decoder-pages.ts";
import { visibleText } from "../text/visible-text.ts";

/** Number and label; a label that is only made of members' labels leans and says so. */
export function LatentName({
  named,
  onChoose,
}: {
  named: NamedLatent;
  onChoose?: () => void;
}): JSX.Element {
  const { latent, label, derived } = named;
  const name = `#${latent}`;
  return (
    <>
      {onChoose ? (
        <button class="link" onClick={onChoose}>
          {name}
        </button>
      ) : (
        <span>{name}</span>
      )}{" "}
      {label === undefined ? (
        <span class="quiet">no label</span>
      ) : derived ? (
        <em title="Made of the labels of latents that it is part of">{visibleText(label)}</em>
      ) : (
        <span>{visibleText(label)}</span>
      )}
    </>
  );
}
