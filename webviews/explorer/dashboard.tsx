/** The dashboard of a latent. */
import type { JSX } from "preact";
import type { LatentDashboard, RelatedLatent } from "../../server/protocol/explorer.ts";
import { figure } from "../text/heat-modes.ts";
import { visibleText } from "../text/visible-text.ts";
import { ContextLine, Contexts } from "./contexts.tsx";
import type { PageProps } from "./explorer-page.tsx";
import { Histogram } from "./histogram.tsx";
import { Labels } from "./labels.tsx";
import { Places } from "./latent-places.tsx";

/** What a latent is beside another SAE. */
const kinds = {
  novel: "Novel beside",
  reconstruction: "Reconstruction of",
  source: "Again in",
} as const;

/** Right side of the page. */
export function Dashboard({ model, state }: PageProps): JSX.Element {
  const { latent, dashboard } = state;
  if (latent === undefined)
    return (
      <main class="dashboard">
        <h1 class="sr-only">Latents</h1>
        <p class="quiet">
          Choose a latent: type, move with the arrow keys, and open it with Enter. “/” goes back to
          the search box.
        </p>
      </main>
    );
  if (!dashboard)
    return (
      <main class="dashboard" aria-busy="true">
        <h1>#{latent}</h1>
      </main>
    );
  const { corpus, logits, metaLatents } = dashboard;
  const open = (other: number): void => void model.open(other);
  return (
    <main class="dashboard">
      <Header model={model} state={state} dashboard={dashboard} />
      <Test model={model} state={state} max={corpus?.max} />
      {corpus && corpus.count > 0 && (
        <>
          <div class="row">
            <Histogram corpus={corpus} />
            <TopTokens corpus={corpus} />
          </div>
          <Contexts contexts={state.contexts} corpus={corpus} />
        </>
      )}
      {corpus?.count === 0 && (
        <p class="quiet">It fires on none of the index’s {corpus.counted} tokens.</p>
      )}
      {logits && (
        <div class="row">
          <Logits title="Raises most" list={logits.top} />
          {logits.bottom.length > 0 && <Logits title="Lowers most" list={logits.bottom} />}
        </div>
      )}
      {corpus && (
        <div class="row">
          <Related
            title="Nearest by decoder"
            meaning="Cosine of decoder rows"
            list={corpus.decoder}
            open={open}
          />
          <Related
            title="Nearest by encoder"
            meaning="Cosine of encoder columns"
            list={corpus.encoder}
            open={open}
          />
          <Related
            title="Active together"
            meaning={`Correlation of being active; on how many of ${corpus.sampled} of its tokens`}
            list={corpus.coactive}
            open={open}
          />
        </div>
      )}
      {metaLatents && metaLatents.parts.length > 0 && (
        <Related
          title={`Meta-latents (${metaLatents.meta})`}
          meaning="Activation on its decoder row"
          list={metaLatents.parts}
        />
      )}
      {dashboard.counterparts.length > 0 && (
        <div class="row">
          {dashboard.counterparts.map(({ sae, kind, latents }) => (
            <Related
              key={sae}
              title={`${kinds[kind]} ${sae}`}
              meaning="Cosine of decoder rows"
              list={latents}
              open={(other) => void model.select({ sae, latent: other })}
            />
          ))}
        </div>
      )}
      <Places model={model} state={state} />
    </main>
  );
}

function Header({
  model,
  state,
  dashboard,
}: PageProps & { dashboard: LatentDashboard }): JSX.Element {
  const { latent, corpus, pinned, neuronpediaId } = dashboard;
  return (
    <header class="header">
      <h1>#{latent}</h1>
      <Labels model={model} state={state} dashboard={dashboard} />
      {corpus && (
        <p class="quiet facts">
          {[
            `density ${figure((corpus.count / corpus.counted) * 100)} %`,
            `${corpus.count} of ${corpus.counted} tokens`,
            `max ${figure(corpus.max)}`,
            `mean when active ${figure(corpus.mean)}`,
          ].join(" · ")}
        </p>
      )}
      <div class="actions">
        <button onClick={() => model.edit(ownLabel(dashboard))}>Edit Label</button>
        <button
          class="secondary"
          aria-pressed={pinned}
          onClick={() => model.command(pinned ? "unpinLatent" : "pinLatent")}
        >
          {pinned ? "Unpin" : "Pin"}
        </button>
        {corpus && corpus.count > 0 && (
          <button class="secondary" onClick={() => model.command("explainLatent")}>
            Explain…
          </button>
        )}
        <button class="secondary" onClick={() => model.command("copyLatentAsPython")}>
          Copy as Python (SAELens)
        </button>
        <button class="secondary" onClick={() => model.command("exportLatents")}>
          Export as HTML…
        </button>
        {neuronpediaId !== undefined && (
          <button
            class="secondary"
            title={neuronpediaId}
            onClick={() => model.command("copyNeuronpediaId")}
          >
            Copy Neuronpedia Id
          </button>
        )}
      </div>
    </header>
  );
}

function ownLabel({ labels }: LatentDashboard): string {
  return (
    labels.find((it) => it.from === "labels" && it.id === undefined && !it.generated)?.text ?? ""
  );
}

function Test({ model, state, max }: PageProps & { max: number | undefined }): JSX.Element {
  const { test, testText } = state;
  const largest = Math.max(0, ...(test?.tokens.map(({ act }) => Math.abs(act)) ?? []));
  return (
    <section class="test" aria-label="Test">
      <label for="test">Try a text</label>
      <textarea
        id="test"
        rows={2}
        placeholder="Type here to see it fire"
        value={testText}
        onInput={(event) => model.typeTest(event.currentTarget.value)}
      />
      {test && (
        <>
          <ContextLine context={test} max={Math.max(max ?? 0, largest)} />
          <p class="quiet" role="status">
            {largest === 0
              ? "It does not fire here."
              : `Strongest ${figure(largest)} at “${visibleText(test.tokens[test.peak]?.text ?? "")}”.`}
          </p>
        </>
      )}
    </section>
  );
}

function TopTokens({ corpus }: { corpus: NonNullable<LatentDashboard["corpus"]> }): JSX.Element {
  return (
    <table class="figures">
      <caption>Tokens it fires on</caption>
      <thead>
        <tr>
          <th scope="col">Token</th>
          <th scope="col">Times</th>
          <th scope="col">Mean</th>
        </tr>
      </thead>
      <tbody>
        {corpus.tokens.map(({ text, count, mean }) => (
          <tr key={text}>
            <th scope="row">
              <span class="token">{visibleText(text) || "∅"}</span>
            </th>
            <td>{count}</td>
            <td>{figure(mean)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Logits({
  title,
  list,
}: {
  title: string;
  list: readonly { text: string; value: number }[];
}): JSX.Element {
  return (
    <table class="figures">
      <caption title="Decoder row through the final norm’s weight and the unembedding; no bias, no division by the norm">
        {title}
      </caption>
      <thead class="sr-only">
        <tr>
          <th scope="col">Next token</th>
          <th scope="col">Logit</th>
        </tr>
      </thead>
      <tbody>
        {list.map(({ text, value }, at) => (
          <tr key={at}>
            <th scope="row">
              <span class="token">{visibleText(text) || "∅"}</span>
            </th>
            <td>{figure(value)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Related(props: {
  title: string;
  meaning: string;
  list: readonly RelatedLatent[];
  open?: (latent: number) => void;
}): JSX.Element | null {
  const { title, meaning, list, open } = props;
  if (list.length === 0) return null;
  return (
    <table class="figures">
      <caption title={meaning}>{title}</caption>
      <thead class="sr-only">
        <tr>
          <th scope="col">Latent</th>
          <th scope="col">{meaning}</th>
          <th scope="col">Label</th>
        </tr>
      </thead>
      <tbody>
        {list.map(({ latent, value, label, count }) => (
          <tr key={latent}>
            <th scope="row">
              {open ? (
                <button class="link" onClick={() => open(latent)}>
                  #{latent}
                </button>
              ) : (
                `#${latent}`
              )}
            </th>
            <td>
              {figure(value)}
              {count !== undefined && <span class="quiet"> ({count})</span>}
            </td>
            <td class="what">{label !== undefined && visibleText(label)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
