/** The paper's causal rule on the absorption page: asking for it, its summary, what removals do, and the label that is looked at. */
import type { JSX } from "preact";
import type { CausalReport } from "../../server/protocol/causal-absorption.ts";
import { visibleText } from "../text/visible-text.ts";
import { type CausalModel, type CausalState, mostWords } from "./causal-model.ts";
import { CausalWords } from "./causal-words.tsx";
import { RemovalEffects } from "./removal-effects.tsx";
import { percent } from "./labels-table.tsx";
import { decimal } from "../decoders/decimal.ts";

interface CausalProps {
  readonly causal: CausalModel;
  readonly names: Readonly<Record<string, string>>;
}

/** The section. */
export function CausalSection({ causal, names }: CausalProps): JSX.Element {
  const { state } = causal;
  const { found, problem, subject, label } = state;
  return (
    <section aria-label="The paper's causal rule">
      <h2>By the paper's causal rule</h2>
      <p class="facts">
        Chanin et al. 2024: the probe knows a word, its main latents are silent, and one latent
        carries the answer. Each active latent is scored by integrated gradients of the logit
        difference between the right answer and the mean of the others.
      </p>
      {subject?.setting === "text" ? (
        <p class="facts">
          The rule asks what a latent does to the model's answer, and running text asks nothing:
          measure in the task's prompts.
        </p>
      ) : (
        <Form causal={causal} state={state} />
      )}
      {problem !== undefined && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      {found && (
        <>
          <Summary report={found.report} />
          <RemovalEffects causal={causal} report={found.report} />
          {label ? (
            <CausalWords
              causal={causal}
              label={label}
              thresholds={found.report.thresholds}
              names={{ ...names, ...found.names }}
            />
          ) : (
            <p class="facts">The label that is chosen above was not judged by this rule.</p>
          )}
        </>
      )}
    </section>
  );
}

function Form({ causal, state }: { causal: CausalModel; state: CausalState }): JSX.Element {
  const { progress, words } = state;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!progress) void causal.judge();
      }}
    >
      <div class="controls">
        <label>
          words of a label, at most
          <input
            type="number"
            min={1}
            max={mostWords}
            value={words}
            title={`the paper's code judges ${mostWords}`}
            onChange={(event) => causal.setWords(event.currentTarget.valueAsNumber)}
          />
        </label>
        {progress ? (
          <button type="button" onClick={() => causal.cancel()}>
            Cancel judging
          </button>
        ) : (
          <button type="submit">Judge by effects</button>
        )}
      </div>
      <p class="facts" role="status">
        {progress && (
          <>
            <progress max={1} value={progress.share} aria-label="Judged" />{" "}
            {visibleText(progress.text)}…
          </>
        )}
      </p>
    </form>
  );
}

function Summary({ report }: { report: CausalReport }): JSX.Element {
  const { mean, agreement, problems, thresholds } = report;
  return (
    <>
      <p class="facts">
        Over {mean.labels} labels {percent(mean.absorptionRate)} of the words that the probe knows
        are absorbed, {percent(mean.partialRate)} in part. Absorbed: main latents silent (sum below{" "}
        {thresholds["mainSilent"]}), first latent at least {thresholds["margin"]} before the next,
        its cosine with the probe at least {thresholds["cosine"]}; {thresholds["steps"]} steps of
        integrated gradients. In part (a rule of this workbench): the same of a latent besides the
        main ones, while these fire too weakly for their own probe.
        {agreement.correlation !== null &&
          ` Scores against real removal of ${agreement.words} first latents: r = ${decimal(agreement.correlation, 3)}.`}
      </p>
      {problems.map((it) => (
        <p class="facts" key={it}>
          {visibleText(it)}
        </p>
      ))}
    </>
  );
}
