/** The same shares handed on to meta-latents. */
import type { JSX } from "preact";
import type { AttributionView } from "../../server/protocol/page-causes.ts";
import type { AttributionModel } from "./attribution-model.ts";
import { visibleText } from "../text/visible-text.ts";
import { ShareBar, signed } from "./share-bar.tsx";

/** Meta-latents shown at most, and latents through which each acts. */
const most = 20;
const mostThrough = 4;

/** The table. */
export function MetaTable(props: {
  model: AttributionModel;
  view: AttributionView;
  meta: NonNullable<AttributionView["meta"]>;
}): JSX.Element {
  const { model, view, meta } = props;
  const shown = meta.latents.slice(0, most);
  const largest = Math.max(...shown.map((it) => Math.abs(it.attribution)), 0);
  const others = meta.latents.slice(most).reduce((sum, it) => sum + it.attribution, 0);
  return (
    <div class="pane">
      <table>
        <caption>Handed on to the meta-latents of {meta.id}</caption>
        <thead>
          <tr>
            <th scope="col">Attribution</th>
            <th scope="col">Meta-latent</th>
            <th scope="col">Through</th>
            <th scope="col">Label</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((it) => (
            <tr key={it.metaLatent}>
              <td class="number">
                <ShareBar value={it.attribution} largest={largest} /> {signed(it.attribution)}
              </td>
              <th scope="row">#{it.metaLatent}</th>
              <td>
                {it.through
                  .slice(0, mostThrough)
                  .map(({ latent }) => `#${latent}`)
                  .join(", ")}
                {it.through.length > mostThrough && ` and ${it.through.length - mostThrough} more`}
              </td>
              <td>
                {visibleText(view.metaLabels[it.metaLatent] ?? "")}{" "}
                <button
                  class="link act"
                  aria-label={`Steer with meta-latent ${it.metaLatent}`}
                  onClick={() => model.steer("meta-latent", it.metaLatent)}
                >
                  Steer…
                </button>
              </td>
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <td class="number">
              <span class="share" /> {signed(others)}
            </td>
            <th scope="row" colSpan={3}>
              {Math.max(0, meta.latents.length - most)} other meta-latents
            </th>
          </tr>
          <tr>
            <td class="number">
              <span class="share" /> {signed(meta.rest)}
            </td>
            <th scope="row" colSpan={3}>
              Not explained by meta-latents
            </th>
          </tr>
        </tfoot>
      </table>
    </div>
  );
}
