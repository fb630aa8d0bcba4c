/** The words of a label under the causal rule, and the rule step by step for one of them. */
import type { JSX } from "preact";
import type { CausalLabel, CausalWord } from "../../server/protocol/causal-absorption.ts";
import { ShareBar } from "../attribution/share-bar.tsx";
import { decimal } from "../decoders/decimal.ts";
import { visibleText } from "../text/visible-text.ts";
import { byVerdict, type CausalModel, stepsOf } from "./causal-model.ts";
import { Name } from "./label-details.tsx";
import { percent } from "./labels-table.tsx";

interface Words {
  readonly causal: CausalModel;
  readonly label: CausalLabel;
  readonly thresholds: Readonly<Record<string, number>>;
  readonly names: Readonly<Record<string, string>>;
}

const verdicts: Readonly<Record<CausalWord["verdict"], string>> = {
  absorbed: "absorbed",
  partial: "in part",
  none: "no",
};

/** Counts, absorbers, words, and the word that is looked at. */
export function CausalWords(props: Words): JSX.Element {
  const { causal, label, names, thresholds } = props;
  const { word } = causal.state;
  return (
    <>
      <h3>{visibleText(label.label)}</h3>
      <p class="facts">
        The answer is “{visibleText(label.answer)}”. Of {label.truePositives} words that the probe
        knows, the main latents' own probe misses {label.falseNegatives}; in prompts of their own,
        main latents are silent on {label.silent} ({label.silentJudged} judged) and fire weakly on{" "}
        {label.weak} ({label.weakJudged} judged). Absorbed {label.absorbed}, in part {label.partial}
        : rates {percent(label.absorptionRate)} and {percent(label.partialRate)}.
        {label.absorbers.length > 0 && " Absorbers: "}
        {label.absorbers.map(({ latent, words }, at) => (
          <span key={latent}>
            {at > 0 && ", "}
            <Name latent={latent} names={names} /> ({words.map((it) => visibleText(it)).join(" ")})
          </span>
        ))}
      </p>
      {label.words.length > 0 && (
        <div class="columns">
          <WordsTable {...props} />
          {word && <Steps word={word} label={label} names={names} thresholds={thresholds} />}
        </div>
      )}
    </>
  );
}

function WordsTable({ causal, label }: Words): JSX.Element {
  const { word } = causal.state;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Words judged by their effects">
      <table class="words">
        <thead>
          <tr>
            <th scope="col">Word</th>
            <th scope="col">Absorbed</th>
            <th scope="col" title="what SAEBench's projection rule says of the same prompt">
              SAEBench
            </th>
            <th scope="col">First latent</th>
            <th scope="col" title="what the logit difference would gain by its removal">
              Score
            </th>
            <th scope="col" title="what it really gains by its removal">
              Removed
            </th>
            <th scope="col">Margin</th>
          </tr>
        </thead>
        <tbody>
          {byVerdict(label.words).map((it, at) => (
            <tr key={`${at} ${it.word}`} aria-current={word === it ? "true" : undefined}>
              <th scope="row">
                <button class="link" onClick={() => causal.chooseWord(it)}>
                  {visibleText(it.word)}
                </button>
              </th>
              <td>{verdicts[it.verdict]}</td>
              <td>{projectionText(it.byProjection)}</td>
              <td>{it.top ? `#${it.top.latent}` : "–"}</td>
              <td class="number">{it.top ? decimal(it.top.score, 2) : "–"}</td>
              <td class="number">{it.topEffect === null ? "–" : decimal(it.topEffect, 2)}</td>
              <td class="number">{decimal(it.margin, 2)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function projectionText({ isFull, isPartial, absorber }: CausalWord["byProjection"]): string {
  const by = absorber === null ? "" : ` by #${absorber}`;
  return isFull ? `absorbed${by}` : isPartial ? `in part${by}` : "no";
}

function Steps(props: {
  word: CausalWord;
  label: CausalLabel;
  names: Words["names"];
  thresholds: Words["thresholds"];
}): JSX.Element {
  const { word, label, names, thresholds } = props;
  const main = new Set(label.main.map(({ latent }) => latent));
  const largest = Math.max(...word.strongest.map(({ score }) => Math.abs(score)));
  return (
    <div>
      <p class="facts">
        <b>“{visibleText(word.word)}”</b>, logit difference {decimal(word.value, 2)}:{" "}
        {word.verdict === "none"
          ? "not absorbed by this rule"
          : word.verdict === "absorbed"
            ? "absorbed"
            : "absorbed in part"}
      </p>
      <ol class="steps">
        {stepsOf(word, thresholds, decimal).map(({ text, passes }) => (
          <li key={text}>
            <b>{passes ? "yes" : "no"}</b>: {text}
          </li>
        ))}
      </ol>
      <div class="scroll" tabIndex={0} role="region" aria-label="Latents by effect">
        <table class="split">
          <caption>Latents by their score; negative where the answer hangs on them</caption>
          <thead>
            <tr>
              <th scope="col">Latent</th>
              <th scope="col">
                <span class="sr-only">Bar</span>
              </th>
              <th scope="col">Score</th>
              <th scope="col">Activation</th>
              <th scope="col">Cosine</th>
            </tr>
          </thead>
          <tbody>
            {word.strongest.map(({ latent, score, activation, cosine }) => (
              <tr key={latent}>
                <th scope="row">
                  <Name latent={latent} names={names} />
                  {main.has(latent) && <b> main</b>}
                </th>
                <td>
                  <ShareBar value={score} largest={largest} />
                </td>
                <td class="number">{decimal(score, 3)}</td>
                <td class="number">{decimal(activation, 2)}</td>
                <td class="number">{decimal(cosine, 3)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <details>
        <summary>Prompt</summary>
        <pre class="prompt">{word.prompt.split("\n").map(visibleText).join("\n")}</pre>
      </details>
    </div>
  );
}
