/** Knobs of features and SAE, and the button that trains. */
import type { JSX } from "preact";
import { toyArchitectures } from "../../server/protocol/toy.ts";
import {
  adversaryValues,
  hasCoefficient,
  type Knobs,
  l1Values,
  type ToyModel,
  type Varied,
} from "./toy-model.ts";
import type { PageProps } from "./toy-page.tsx";
import { architectureNames, coefficientName, percent, variedNames } from "./toy-texts.ts";

/** The form; it stays usable while a run is under way, for the next one. */
export function KnobsForm({ model, state }: PageProps): JSX.Element {
  const { knobs } = state;
  return (
    <form
      class="knobs"
      onSubmit={(event) => {
        event.preventDefault();
        void model.train();
      }}
    >
      <FeatureKnobs model={model} knobs={knobs} />
      <SaeKnobs model={model} knobs={knobs} />
      <Start model={model} state={state} />
    </form>
  );
}

interface KnobsProps {
  readonly model: ToyModel;
  readonly knobs: Knobs;
}

function FeatureKnobs({ model, knobs }: KnobsProps): JSX.Element {
  const set = (name: keyof Knobs) => (value: number) => model.turn({ [name]: value });
  const share = { min: 0, max: 1, step: 0.05 };
  return (
    <fieldset>
      <legend>Features</legend>
      <Slider
        name="Number of features"
        value={knobs.features}
        range={{ min: 4, max: 32, step: 1 }}
        onValue={set("features")}
      />
      <Slider
        name="Parents"
        value={knobs.parents}
        range={{ min: 0, max: 4, step: 1 }}
        onValue={set("parents")}
      />
      <Slider
        name="Children of a parent"
        value={knobs.children}
        range={{ min: 1, max: 4, step: 1 }}
        onValue={set("children")}
      />
      <Slider
        name="Hierarchy"
        hint="How far children need their parent: 0 not at all, 1 never without it"
        value={knobs.hierarchy}
        range={share}
        shown={percent(knobs.hierarchy)}
        onValue={set("hierarchy")}
      />
      <Slider
        name="Co-occurrence"
        hint="How far the two features of a pair go together: 0 by chance, 1 always"
        value={knobs.coOccurrence}
        range={share}
        shown={percent(knobs.coOccurrence)}
        onValue={set("coOccurrence")}
      />
    </fieldset>
  );
}

function SaeKnobs({ model, knobs }: KnobsProps): JSX.Element {
  return (
    <fieldset>
      <legend>SAE</legend>
      <label class="choice">
        <span>Architecture</span>
        <select
          value={knobs.architecture}
          onChange={({ currentTarget: { value } }) =>
            model.turn({ architecture: value as Knobs["architecture"] })
          }
        >
          {toyArchitectures.map((it) => (
            <option key={it} value={it}>
              {architectureNames[it]}
            </option>
          ))}
        </select>
      </label>
      {hasCoefficient(knobs) ? (
        <Listed
          name={coefficientName(knobs)}
          hint="Weight of what active latents cost"
          value={knobs.l1}
          values={l1Values}
          onValue={(l1) => model.turn({ l1 })}
        />
      ) : (
        <Slider
          name="k"
          hint="Active latents of a row; auto is the mean number of active features"
          value={knobs.k}
          range={{ min: 0, max: 6, step: knobs.architecture === "topk" ? 1 : 0.5 }}
          shown={knobs.k === 0 ? "auto" : String(knobs.k)}
          onValue={(k) => model.turn({ k })}
        />
      )}
      <label class="choice">
        <span>Tied weights</span>
        <input
          type="checkbox"
          checked={knobs.tied}
          onChange={({ currentTarget }) => model.turn({ tied: currentTarget.checked })}
        />
      </label>
      <Listed
        name="Adversarial meta-SAE"
        hint="Weight of the penalty on decoder directions that a meta-SAE, trained beside, explains"
        value={knobs.adversary}
        values={adversaryValues}
        shown={knobs.adversary === 0 ? "off" : String(knobs.adversary)}
        onValue={(adversary) => model.turn({ adversary })}
      />
      <Slider
        name="Latents per feature"
        value={knobs.latents}
        range={{ min: 0.5, max: 3, step: 0.25 }}
        onValue={(latents) => model.turn({ latents })}
      />
      <Slider
        name="Steps"
        value={knobs.steps}
        range={{ min: 500, max: 8000, step: 500 }}
        onValue={(steps) => model.turn({ steps })}
      />
      <Slider
        name="Seed"
        value={knobs.seed}
        range={{ min: 0, max: 20, step: 1 }}
        onValue={(seed) => model.turn({ seed })}
      />
    </fieldset>
  );
}

function Start({ model, state }: PageProps): JSX.Element {
  const { running, varied } = state;
  return (
    <div class="start">
      <select
        aria-label="What to run"
        value={varied}
        onChange={({ currentTarget: { value } }) => model.show({ varied: value as Varied })}
      >
        {Object.entries(variedNames).map(([value, name]) => (
          <option key={value} value={value}>
            {name}
          </option>
        ))}
      </select>
      {running ? (
        <button type="button" onClick={() => model.cancel()}>
          Cancel
        </button>
      ) : (
        <button type="submit">Train</button>
      )}
      {running && <progress max={1} value={running.fraction} aria-label="Steps" />}
      <p role="status">
        {running && running.of > 1 && `run ${running.at + 1} of ${running.of}: `}
        {running?.text}
      </p>
    </div>
  );
}

interface SliderProps {
  readonly name: string;
  readonly hint?: string;
  readonly value: number;
  readonly range: { readonly min: number; readonly max: number; readonly step: number };
  readonly shown?: string;
  readonly onValue: (value: number) => void;
}

function Slider({ name, hint, value, range, shown, onValue }: SliderProps): JSX.Element {
  const text = shown ?? String(value);
  return (
    <label class="slider" title={hint}>
      <span>{name}</span>
      <input
        type="range"
        {...range}
        value={value}
        aria-valuetext={text}
        onInput={({ currentTarget }) => onValue(currentTarget.valueAsNumber)}
      />
      <span class="value" aria-hidden="true">
        {text}
      </span>
    </label>
  );
}

/** A slider over listed values. */
function Listed(
  props: Omit<SliderProps, "range"> & { readonly values: readonly number[] },
): JSX.Element {
  const { values, value, onValue, shown = String(value), ...rest } = props;
  const at = values.findIndex((it) => it >= value);
  return (
    <Slider
      {...rest}
      shown={shown}
      value={at < 0 ? values.length - 1 : at}
      range={{ min: 0, max: values.length - 1, step: 1 }}
      onValue={(chosen) => onValue(values[chosen] ?? value)}
    />
  );
}
