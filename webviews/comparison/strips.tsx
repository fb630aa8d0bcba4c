/** Both texts above each other, token by token; where nothing changes for long they are folded. */
import type { JSX } from "preact";
import type { ComparedRow, ComparisonView } from "../../server/protocol/comparison.ts";
import { figure } from "../text/heat-modes.ts";
import { visibleText } from "../text/visible-text.ts";
import type { ComparisonModel } from "./comparison-model.ts";

const steps = 5;

/** The aligned tokens, a button for each pair. */
export function Strips({
  model,
  view,
}: {
  model: ComparisonModel;
  view: ComparisonView;
}): JSX.Element {
  const largest = Math.max(...view.rows.map(({ change }) => change), 0);
  return (
    <ol class="pairs" aria-label="Tokens of both texts; choose one to list its latents">
      {model.stretches.flatMap(({ kind, from, to }) =>
        kind === "folded"
          ? [
              <li key={`folded ${from}`} class="folded">
                <button class="secondary" onClick={() => model.unfold(from)}>
                  {to - from} tokens, nothing changes
                </button>
              </li>,
            ]
          : view.rows
              .slice(from, to)
              .map((row, at) => (
                <Pair key={from + at} {...{ model, view, row, index: from + at, largest }} />
              )),
      )}
    </ol>
  );
}

function Pair({
  model,
  view,
  row,
  index,
  largest,
}: {
  model: ComparisonModel;
  view: ComparisonView;
  row: ComparedRow;
  index: number;
  largest: number;
}): JSX.Element {
  const before = row.before === undefined ? undefined : view.before[row.before]?.text;
  const after = row.after === undefined ? undefined : view.after[row.after]?.text;
  const both = before !== undefined && after !== undefined;
  const side = both ? "in both texts" : `in the ${after === undefined ? "first" : "second"} alone`;
  const change = !row.counts ? "not counted" : both ? `changes by ${figure(row.change)}` : "";
  const name = `${visibleText(after ?? before ?? "")}, ${side}${change && `, ${change}`}`;
  const step = largest === 0 || !both ? 0 : Math.ceil((row.change / largest) * steps);
  return (
    <li>
      <button
        class={`pair ${step > 0 ? `heat${step}` : ""}`}
        aria-pressed={model.row === index}
        title={name}
        onClick={() => model.choose(index)}
      >
        <span class="sr-only">{name}</span>
        <Side text={before} sign="−" alone={!both} />
        <Side text={after} sign="+" alone={!both} />
      </button>
    </li>
  );
}

function Side({
  text,
  sign,
  alone,
}: {
  text: string | undefined;
  sign: string;
  alone: boolean;
}): JSX.Element {
  if (text === undefined) return <span class="token"> </span>;
  return (
    <span class={alone ? `token ${sign === "−" ? "gone" : "new"}` : "token"} aria-hidden="true">
      {alone && <span class="sign">{sign}</span>}
      {visibleText(text)}
    </span>
  );
}
