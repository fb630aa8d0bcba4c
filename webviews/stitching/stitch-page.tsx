import type { JSX } from "preact";
import type { StitchFigures } from "../../server/protocol/decoder-pages.ts";
import { type Agreement, cosineRule, type Rule } from "../../server/protocol/stitching.ts";
import { textsText } from "../decoders/texts-text.ts";
import { figure } from "../text/heat-modes.ts";
import { LatentsTable } from "./latents-table.tsx";
import { PathCharts } from "./path-charts.tsx";
import { Scatter } from "./scatter.tsx";
import type { StitchModel, StitchState } from "./stitch-model.ts";

interface PageProps {
  readonly model: StitchModel;
  readonly state: StitchState;
}

/** The whole page. */
export function StitchPage({ model, state }: PageProps): JSX.Element {
  const { figures, problem } = state;
  return (
    <div class="page">
      <header class="header">
        <h1>Stitch SAEs</h1>
        {figures && (
          <p>
            {figures.wide} beside {figures.narrow} at {figures.hook}
          </p>
        )}
      </header>
      {problem !== undefined && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      <main>
        <Form model={model} state={state} />
        {figures && <Summary figures={figures} />}
        {figures && (
          <>
            <Scatter figures={figures} onBrush={(brush) => void model.setBrush(brush)} />
            <LatentsTable model={model} state={state} />
            <div class="controls">
              <button
                class="secondary"
                aria-pressed={state.showsTables}
                onClick={() => model.setTables(!state.showsTables)}
              >
                Path as a table
              </button>
            </div>
            <PathCharts figures={figures} asTable={state.showsTables} />
            <Write model={model} state={state} />
          </>
        )}
      </main>
    </div>
  );
}

function Form({ model, state }: PageProps): JSX.Element {
  const { form, candidates, progress } = state;
  const choices = candidates?.map(({ id, path, detail }) => (
    <option key={path} value={path} title={path}>
      {id} ({detail})
    </option>
  ));
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void model.measure();
      }}
    >
      <div class="controls">
        {(["a", "b"] as const).map((key) => (
          <label key={key}>
            {key === "a" ? "SAE" : "and SAE"}
            <select
              value={form[key]}
              onChange={(event) => model.change({ [key]: event.currentTarget.value })}
            >
              <option value="">Choose…</option>
              {choices}
            </select>
          </label>
        ))}
        <label>
          novel by
          <select
            value={form.rule}
            onChange={(event) => model.change({ rule: event.currentTarget.value as Rule })}
          >
            <option value="effect">effect on the squared error</option>
            <option value="cosine">cosine of at most {cosineRule}</option>
          </select>
        </label>
        <label>
          tokens
          <input
            type="number"
            min={100}
            max={1_000_000}
            value={form.tokens}
            onChange={(event) => model.change({ tokens: Number(event.currentTarget.value) })}
          />
        </label>
        <label>
          latents with cross-entropy
          <input
            type="number"
            min={0}
            max={10_000}
            value={form.ceLatents}
            onChange={(event) => model.change({ ceLatents: Number(event.currentTarget.value) })}
          />
        </label>
        <button type="button" class="secondary" onClick={() => void model.pickTexts()}>
          Texts…
        </button>
        <span class="quiet">{textsText(form.files)}</span>
        {progress ? (
          <button type="button" onClick={() => model.cancel()}>
            Cancel
          </button>
        ) : (
          <button type="submit" disabled={form.a === "" || form.b === "" || form.a === form.b}>
            Measure
          </button>
        )}
      </div>
      {progress && (
        <p class="facts" role="status">
          <progress max={1} value={progress.share} aria-label="Measured" /> {progress.text}…
        </p>
      )}
    </form>
  );
}

function Summary({ figures }: { figures: StitchFigures }): JSX.Element {
  const { wideLatents, novelByCosine, components, narrowLatents, tokens, fired, notes } = figures;
  return (
    <section aria-label="Summary">
      <p class="facts">
        By cosine {novelByCosine} of {wideLatents} wide latents are novel;{" "}
        {wideLatents - novelByCosine} stand for some of the {narrowLatents} narrow ones, in{" "}
        {components} groups. Measured on {tokens} tokens, on which {fired} fire.
      </p>
      <Agreed agreement={figures.byMse} what="the squared error" />
      {figures.byCe.latents > 0 && (
        <Agreed agreement={figures.byCe} what="the cross-entropy (a sample of latents)" />
      )}
      {notes.map((note) => (
        <p class="facts quiet" key={note}>
          {note}
        </p>
      ))}
    </section>
  );
}

function Agreed({ agreement, what }: { agreement: Agreement; what: string }): JSX.Element {
  const { latents, bothNovel, novelByEffectOnly, auc, bestCosine, bestAgreement } = agreement;
  return (
    <p class="facts">
      By effect on {what} {bothNovel + novelByEffectOnly} of {latents} are novel; the cosine rule (
      {cosineRule}) agrees on {percent(agreement.agreement)}, at a cosine of {bestCosine.toFixed(2)}{" "}
      it would on {percent(bestAgreement)}
      {auc === null ? "" : `; area under the curve ${auc.toFixed(2)}`}.
    </p>
  );
}

function Write({ model, state }: PageProps): JSX.Element {
  const { insert, swap, written, inUse } = state;
  return (
    <section aria-label="Stitched SAE">
      <h2>Stitched SAE</h2>
      <div class="controls">
        <label>
          insert
          <select
            value={insert}
            disabled={swap === "everything"}
            onChange={(event) =>
              model.choose({ insert: event.currentTarget.value as StitchState["insert"] })
            }
          >
            <option value="novel">novel latents</option>
            <option value="none">nothing</option>
          </select>
        </label>
        <label>
          swap
          <select
            value={swap}
            onChange={(event) =>
              model.choose({ swap: event.currentTarget.value as StitchState["swap"] })
            }
          >
            <option value="none">nothing</option>
            <option value="reconstruction">groups of reconstructions</option>
            <option value="everything">everything</option>
          </select>
        </label>
        <button onClick={() => void model.write()}>Write…</button>
      </div>
      {written && (
        <p class="facts" role="status">
          {written.folder}: {written.d_sae} latents, {written.inserted} of the wide SAE; FVU{" "}
          {figure(written.fit.fvu)}, L0 {figure(written.fit.l0)}, cross-entropy{" "}
          {figure(written.fit.ce ?? Number.NaN)}{" "}
          <button class="secondary" disabled={inUse} onClick={() => void model.use()}>
            {inUse ? "In use" : "Use"}
          </button>
        </p>
      )}
    </section>
  );
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
