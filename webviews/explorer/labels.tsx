/** Labels of a latent with their authors, and the box to write one's own. */
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { LatentDashboard, LatentLabel } from "../../server/protocol/explorer.ts";
import { visibleText } from "../text/visible-text.ts";
import type { PageProps } from "./explorer-page.tsx";

/** All labels; the first is the one that hovers show. */
export function Labels({
  model,
  state,
  dashboard,
}: PageProps & { dashboard: LatentDashboard }): JSX.Element {
  const box = useRef<HTMLInputElement>(null);
  const isEditing = state.draft !== undefined;
  useEffect(() => {
    if (isEditing) box.current?.select();
  }, [isEditing]);
  if (isEditing)
    return (
      <form
        class="edit"
        onSubmit={(event) => {
          event.preventDefault();
          void model.saveLabel();
        }}
      >
        <input
          ref={box}
          type="text"
          aria-label="Your label; empty takes it away"
          placeholder="Your label; empty takes it away"
          value={state.draft}
          onInput={(event) => model.edit(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape") model.edit(undefined);
          }}
        />
        <button type="submit">Save</button>
        <button type="button" class="secondary" onClick={() => model.edit(undefined)}>
          Cancel
        </button>
      </form>
    );
  if (dashboard.labels.length === 0) return <p class="quiet">No label</p>;
  return (
    <ul class="labels">
      {dashboard.labels.map((label, at) => (
        <li key={at}>
          <span>{visibleText(label.text)}</span>{" "}
          <span class="quiet" title={label.scores && meaning}>
            {originOf(label)}
          </span>
        </li>
      ))}
    </ul>
  );
}

const meaning =
  "detection: share of the texts (14, in 4 of which it fires, where the index has enough) that the model told right by the label; 0.71 is what “none” gives. fuzzing: mean of the shares of rightly and of randomly marked texts told right; 0.5 is chance.";

function originOf({ from, author, date, type, id, scores }: LatentLabel): string {
  const where = { labels: "", "latents.jsonc": "latents.jsonc", sae: "beside the weights" }[from];
  const imported = id === undefined ? undefined : "imported";
  const tests = Object.entries(scores ?? {}).map(([kind, score]) => `${kind} ${score.toFixed(2)}`);
  return [author, date, type, imported, where, ...tests]
    .filter((it) => it !== undefined && it !== "")
    .map((it) => visibleText(it ?? ""))
    .join(", ");
}
