import type { JSX } from "preact";
import { decimal } from "../decoders/decimal.ts";
import { explainedBins, type MetaSummary } from "../../server/protocol/meta.ts";
import { Histogram } from "../decoders/histogram.tsx";
import { LatentName } from "../decoders/latent-name.tsx";
import { figure } from "../text/heat-modes.ts";
import type { MetaModel, MetaState } from "./meta-model.ts";

interface PageProps {
  readonly model: MetaModel;
  readonly state: MetaState;
}

/** The whole page. */
export function MetaPage({ model, state }: PageProps): JSX.Element {
  const { pairs = [], pair, summary, problem } = state;
  return (
    <div class="page" aria-busy={state.busy}>
      <header class="header">
        <h1>Meta-SAE explorer</h1>
        {pairs.length > 1 && (
          <label>
            Meta-SAE{" "}
            <select
              value={pair?.meta ?? ""}
              onChange={(event) => void model.choose(event.currentTarget.value)}
            >
              {pairs.map((it) => (
                <option key={it.meta} value={it.meta}>
                  {it.meta} of {it.parent}
                </option>
              ))}
            </select>
          </label>
        )}
        {pair && pairs.length === 1 && (
          <p>
            {pair.meta} of {pair.parent}
          </p>
        )}
      </header>
      {problem !== undefined && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      <main>
        {!summary && problem === undefined && (
          <p class="quiet" role="status">
            Breaking down every latent of the parent…
          </p>
        )}
        {summary && <Summary summary={summary} />}
        {summary && (
          <div class="columns">
            <List model={model} state={state} />
            <div>
              <Members model={model} state={state} />
              <Breakdown model={model} state={state} />
            </div>
          </div>
        )}
        {summary && <Charts model={model} state={state} summary={summary} />}
      </main>
    </div>
  );
}

/** How much is explained, beside rows that have nothing to explain. */
function Summary({ summary }: { summary: MetaSummary }): JSX.Element {
  const bars = [
    ["the parent's decoder rows", summary.varianceExplained],
    ["rows with shuffled entries", summary.shuffledEntries],
    ["rows with shuffled dimensions", summary.shuffledColumns],
  ] as const;
  return (
    <section aria-label="Variance explained">
      <table class="explained">
        <caption>
          Variance explained by {summary.d_sae} meta-latents, {summary.l0.toFixed(2)} active in a
          latent; {summary.dead} are part of no latent
        </caption>
        <tbody>
          {bars.map(([name, share]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>
                <progress max={1} value={Math.max(0, share)} aria-label={`of ${name}`} />
              </td>
              <td class="number">{percent(share)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function List({ model, state }: PageProps): JSX.Element {
  const { of, query, rows, total } = state;
  const show = (latent: number): void =>
    void (of === "meta" ? model.showMeta(latent) : model.showLatent(latent));
  const shown = of === "meta" ? state.members?.latent : state.breakdown?.latent;
  return (
    <section aria-label="Search">
      <div class="controls">
        <input
          type="search"
          aria-label="Search by number or label"
          placeholder="#12 or words of a label"
          value={query}
          onInput={(event) => void model.search(event.currentTarget.value, of)}
        />
        <label>
          in{" "}
          <select
            value={of}
            onChange={(event) =>
              void model.search(query, event.currentTarget.value as MetaState["of"])
            }
          >
            <option value="meta">meta-latents</option>
            <option value="parent">latents</option>
          </select>
        </label>
        <span class="quiet" role="status">
          {total} found
        </span>
      </div>
      <div class="scroll" tabIndex={0} role="region" aria-label="Found">
        <table>
          <thead>
            <tr>
              <th scope="col">{of === "meta" ? "Meta-latent" : "Latent"}</th>
              {of === "meta" && <th scope="col">Members</th>}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.latent} aria-current={row.latent === shown ? "true" : undefined}>
                <td>
                  <LatentName named={row} onChoose={() => show(row.latent)} />
                </td>
                {of === "meta" && <td class="number">{row.members}</td>}
              </tr>
            ))}
          </tbody>
        </table>
        {rows.length < total && (
          <button class="secondary" onClick={() => void model.more()}>
            Show more
          </button>
        )}
      </div>
    </section>
  );
}

function Members({ model, state }: PageProps): JSX.Element | null {
  const { members } = state;
  if (!members) return null;
  return (
    <section aria-label="Members">
      <h2>
        Meta-latent <LatentName named={members} />
      </h2>
      <div class="scroll" tabIndex={0} role="region" aria-label="Members, strongest first">
        <table class="members">
          <caption>Part of {members.count} latents, strongest first</caption>
          <thead>
            <tr>
              <th scope="col">Latent</th>
              <th scope="col">Activation</th>
              <th scope="col">Cosine</th>
            </tr>
          </thead>
          <tbody>
            {members.members.map((it) => (
              <tr key={it.latent}>
                <td>
                  <LatentName named={it} onChoose={() => void model.showLatent(it.latent)} />
                </td>
                <td class="number">{figure(it.activation)}</td>
                <td class="number">{decimal(it.cosine, 2)}</td>
              </tr>
            ))}
          </tbody>
        </table>
        {members.members.length < members.count && (
          <button class="secondary" onClick={() => void model.moreMembers()}>
            Show more members
          </button>
        )}
      </div>
    </section>
  );
}

function Breakdown({ model, state }: PageProps): JSX.Element {
  const { breakdown } = state;
  if (!breakdown) return <p class="quiet">Choose a latent to break it down.</p>;
  return (
    <section aria-label="Breakdown">
      <h2>
        Latent <LatentName named={breakdown} />
      </h2>
      <table class="breakdown">
        <caption>
          {percent(breakdown.explained)} of its direction explained by {breakdown.active}{" "}
          meta-latents; a share is what that falls by without one of them
        </caption>
        <thead>
          <tr>
            <th scope="col">Meta-latent</th>
            <th scope="col">Share</th>
            <th scope="col">Activation</th>
            <th scope="col">Cosine</th>
          </tr>
        </thead>
        <tbody>
          {breakdown.parts.map((part) => (
            <tr key={part.latent}>
              <td>
                <LatentName named={part} onChoose={() => void model.showMeta(part.latent)} />
              </td>
              <td class="number">{percent(part.share)}</td>
              <td class="number">{figure(part.activation)}</td>
              <td class="number">{decimal(part.cosine, 2)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Charts(props: PageProps & { summary: MetaSummary }): JSX.Element {
  const { model, state, summary } = props;
  const { comparison, showsTables, pair } = state;
  return (
    <section aria-label="Distributions">
      <div class="controls">
        <button
          class="secondary"
          aria-pressed={showsTables}
          onClick={() => model.setTables(!showsTables)}
        >
          Tables
        </button>
        <button class="secondary" onClick={() => void model.compareDecompositions()}>
          Which decomposition helps?
        </button>
        {pair?.narrower.map((narrow) => (
          <button class="secondary" key={narrow} onClick={() => void model.compare(narrow)}>
            Compare with {narrow}
          </button>
        ))}
        {comparison && (
          <span class="comparison" role="status">
            largest cosine with a latent of {comparison.narrow}: mean {decimal(comparison.mean, 3)},
            the other way {decimal(comparison.meanBack, 3)}, of shuffled meta-latents{" "}
            {decimal(comparison.shuffledMean, 3)}
          </span>
        )}
      </div>
      <div class="columns">
        <Histogram
          name="Latents by explained share"
          bins={shareBins(summary.explainedHistogram)}
          asTable={showsTables}
        />
        <Histogram
          name="Meta-latents by members"
          bins={memberBins(summary.membersHistogram)}
          slot={1}
          asTable={showsTables}
        />
        {comparison && (
          <Histogram
            name={`Meta-latents by largest cosine with ${comparison.narrow}`}
            bins={cosineBins(comparison.histogram)}
            slot={2}
            asTable={showsTables}
          />
        )}
        {comparison && (
          <Histogram
            name={`Latents of ${comparison.narrow} by largest cosine with a meta-latent`}
            bins={cosineBins(comparison.histogramBack)}
            slot={3}
            asTable={showsTables}
          />
        )}
      </div>
    </section>
  );
}

const width = 1 / explainedBins;

function shareBins(counts: readonly number[]): { name: string; count: number }[] {
  return counts.map((count, at) => ({ name: `${Math.round(at * width * 100)} %`, count }));
}

function cosineBins(counts: readonly number[]): { name: string; count: number }[] {
  return counts.map((count, at) => ({ name: (at * width).toFixed(2), count }));
}

/** 0, 1, 2–3, 4–7, … */
function memberBins(counts: readonly number[]): { name: string; count: number }[] {
  return counts.map((count, at) => {
    const [from, to] = at === 0 ? [0, 0] : [2 ** (at - 1), 2 ** at - 1];
    return { name: from === to ? String(from) : `${from}–${to}`, count };
  });
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
