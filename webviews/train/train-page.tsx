import type { JSX } from "preact";
import type { RunInfo } from "../../server/protocol/runs.ts";
import { isActive, mayStart, progressText } from "../../server/protocol/runs-text.ts";
import { Chart, type ChartLine } from "./chart.tsx";
import { ChartTable } from "./chart-table.tsx";
import { metrics } from "./metrics.ts";
import { RunsTable, Swatch } from "./runs-table.tsx";
import type { StepRange, TrainModel, TrainState } from "./train-model.ts";

interface PageProps {
  readonly model: TrainModel;
  readonly state: TrainState;
}

/** The whole page. */
export function TrainPage({ model, state }: PageProps): JSX.Element {
  const { run } = model;
  return (
    <div class="page">
      {run ? <Header model={model} run={run} /> : <Nothing state={state} />}
      {state.problem !== undefined && (
        <p class="problem" role="alert">
          {state.problem}
        </p>
      )}
      {run && (
        <main>
          <Toolbar model={model} state={state} />
          <Charts model={model} state={state} />
          <RunsTable model={model} state={state} />
        </main>
      )}
    </div>
  );
}

function Nothing({ state }: { state: TrainState }): JSX.Element {
  const waits = state.runs === undefined && state.problem === undefined;
  return (
    <main class="note" aria-busy={waits}>
      <h1 class="sr-only">Training</h1>
      <p>
        {waits
          ? "Looking for runs…"
          : "There is no run yet. “Latent Workbench: Train SAE…” in the command palette starts one."}
      </p>
    </main>
  );
}

function Header({ model, run }: { model: TrainModel; run: RunInfo }): JSX.Element {
  const usable = run.saes.filter((it) => it.path !== undefined);
  const does = (command: Parameters<TrainModel["command"]>[0]) => () =>
    void model.command(command, run);
  return (
    <header class="header">
      <h1>{run.name}</h1>
      <p class={`state ${run.state}`} role="status">
        {run.state}: {progressText(run)}
      </p>
      {isActive(run) && run.steps !== undefined && (
        <progress max={run.steps} value={run.step} aria-label="Steps" />
      )}
      <div class="actions">
        {run.state === "running" && <button onClick={does("stopRun")}>Stop</button>}
        {mayStart(run) && (
          <button onClick={does("resumeRun")}>{run.resumable ? "Resume" : "Start"}</button>
        )}
        {usable.length > 0 && <button onClick={does("useRunSae")}>Use SAE</button>}
        <button class="secondary" onClick={does("revealRun")}>
          Reveal
        </button>
        <button class="secondary" onClick={does("openRunOutput")}>
          Output
        </button>
        {!isActive(run) && (
          <button class="secondary" onClick={does("deleteRun")}>
            Delete…
          </button>
        )}
      </div>
      {run.lm !== undefined && (
        <p class="facts">{[run.lm.split("/").at(-1), run.hook].filter(Boolean).join(" · ")}</p>
      )}
    </header>
  );
}

function Toolbar({ model, state }: PageProps): JSX.Element {
  const { range } = state;
  const last = Math.max(0, ...[...state.curves.values()].map((it) => it.lastStep));
  const parts: readonly { name: string; range: StepRange | undefined }[] = [
    { name: "All steps", range: undefined },
    { name: "Last half", range: { from: Math.floor(last / 2), to: last } },
    { name: "Last tenth", range: { from: Math.floor(last * 0.9), to: last } },
  ];
  return (
    <div class="toolbar">
      <ul class="lines" aria-label="Lines">
        {model.shownLines.map(({ key, name, slot }) => (
          <li key={key}>
            <Swatch slot={slot} /> {name}
          </li>
        ))}
      </ul>
      <div class="choices">
        {parts.map(({ name, range: part }) => (
          <button
            class="secondary"
            key={name}
            aria-pressed={range?.from === part?.from && range?.to === part?.to}
            onClick={() => model.setRange(part)}
          >
            {name}
          </button>
        ))}
        <button
          class="secondary"
          aria-pressed={state.showsTables}
          onClick={() => model.setTables(!state.showsTables)}
        >
          Tables
        </button>
      </div>
      {range && (
        <span class="range">
          Steps {range.from} to {range.to}
        </span>
      )}
    </div>
  );
}

function Charts({ model, state }: PageProps): JSX.Element {
  const lines: ChartLine[] = model.shownLines.flatMap((line) => {
    const curves = state.curves.get(line.key);
    return curves ? [{ ...line, curves }] : [];
  });
  // What no line has (an architecture without FVU, a run without speed) has no chart.
  const shown = metrics.filter(
    ({ metric }) =>
      lines.length === 0 ||
      lines.some(({ curves }) => curves.values[metric].some((it) => it !== null)),
  );
  const { range } = state;
  return (
    <section class={state.showsTables ? "tables" : "charts"} aria-label="Curves">
      {shown.map((metric) =>
        state.showsTables ? (
          <ChartTable key={metric.metric} metric={metric} lines={lines} />
        ) : (
          <Chart
            key={metric.metric}
            metric={metric}
            lines={lines}
            range={range}
            onRange={(chosen) => model.setRange(chosen)}
          />
        ),
      )}
    </section>
  );
}
