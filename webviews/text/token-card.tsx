import type { JSX } from "preact";
import type { CardLatent, TokenCard, TokenPredictions } from "../../server/protocol/page.ts";
import { figure } from "./heat-modes.ts";
import { fewLatents, type TextModel, type TextState } from "./text-model.ts";
import { visibleText } from "./visible-text.ts";

/** All about the selected token: its figures, its active latents, and on demand what the model expects next. */
export function TokenCardView({
  model,
  state,
}: {
  model: TextModel;
  state: TextState;
}): JSX.Element {
  const { card } = state;
  if (!card) {
    return (
      <aside class="card" aria-label="Token">
        <p class="quiet">Select a token to see its latents.</p>
      </aside>
    );
  }
  const hidden = card.l0 - card.latents.length;
  return (
    <aside class="card" aria-label="Token">
      <h2>
        <span class={`token${card.special ? " special" : ""}`}>
          {visibleText(card.text) || "∅"}
        </span>
      </h2>
      <p class="facts">
        {factsOf(card).map((fact) => (
          <span class="fact" key={fact}>
            {fact}
          </span>
        ))}
      </p>
      {card.latents.length === 0 ? (
        <p class="quiet">No latent is active here.</p>
      ) : (
        <Latents model={model} state={state} card={card} />
      )}
      {hidden > 0 && !state.showsAllLatents && card.latents.length >= fewLatents && (
        <button class="link" onClick={() => model.showAllLatents()}>
          Show all {card.l0} active latents
        </button>
      )}
      <div class="predictions">
        <button
          class="link"
          aria-expanded={state.showsPredictions}
          onClick={() => model.togglePredictions()}
        >
          {state.showsPredictions ? "Hide next tokens" : "Show next tokens"}
        </button>
        {state.showsPredictions && <Predictions predictions={state.predictions} />}
      </div>
    </aside>
  );
}

function factsOf(card: TokenCard): string[] {
  const share = card.squaredError / card.inputNorm ** 2;
  return [
    `id ${card.id}`,
    `position ${card.position} of ${card.tokensInContext}`,
    ...(card.byteOfCharacter ? [card.byteOfCharacter] : []),
    ...(card.special ? ["special token"] : []),
    `L0 ${card.l0}`,
    `error ${figure(share * 100)} % of ‖x‖²`,
    card.hook,
  ];
}

function Latents(props: { model: TextModel; state: TextState; card: TokenCard }): JSX.Element {
  const { model, state, card } = props;
  const pinned = new Set(
    state.overview?.pinned.filter((it) => it.sae === card.sae).map((it) => it.latent),
  );
  return (
    <table class="latents">
      <caption class="sr-only">Active latents, strongest first</caption>
      <thead class="sr-only">
        <tr>
          <th scope="col">Pin</th>
          <th scope="col">Latent</th>
          <th scope="col">Activation</th>
          <th scope="col">Share of the largest seen</th>
          <th scope="col">Label</th>
        </tr>
      </thead>
      <tbody>
        {card.latents.map((latent) => (
          <LatentRow
            key={latent.latent}
            latent={latent}
            pinned={pinned.has(latent.latent)}
            onPin={() => void model.togglePin(latent.latent)}
          />
        ))}
      </tbody>
    </table>
  );
}

function LatentRow(props: { latent: CardLatent; pinned: boolean; onPin: () => void }): JSX.Element {
  const { latent, pinned } = props;
  const share = Math.max(0, Math.min(1, latent.share));
  return (
    <tr>
      <td>
        <button
          class={`icon codicon codicon-${pinned ? "pinned" : "pin"}`}
          aria-pressed={pinned}
          aria-label={`Pin latent ${latent.latent}`}
          title={pinned ? "Unpin" : "Pin: show its heat"}
          onClick={props.onPin}
        />
      </td>
      <td class="number">#{latent.latent}</td>
      <td class="number">{figure(latent.activation)}</td>
      <td class="activation" title={`${figure(share * 100)} % of the largest seen`}>
        <span class="bar" style={{ width: `${share * 100}%` }} />
      </td>
      <td class="label">
        <LabelOf latent={latent} />
        {latent.dense && <span class="badge">dense</span>}
        <MetaLatents latent={latent} />
      </td>
    </tr>
  );
}

/** The meta-latents that this latent is made of, in one line; those with a label say what they stand for. */
function MetaLatents({ latent }: { latent: CardLatent }): JSX.Element | null {
  const metas = latent.metaLatents ?? [];
  if (metas.length === 0) return null;
  return (
    <div class="meta">
      <span class="sr-only">Meta-latents: </span>
      {metas.map((meta) => (
        <span
          class="meta-latent"
          key={meta.latent}
          title={`Meta-latent ${meta.latent}, activation ${figure(meta.activation)}${meta.label === undefined && meta.derivedLabel !== undefined ? "; named after latents that it is part of" : ""}`}
        >
          #{meta.latent} {Math.round(meta.share * 100)} %
          {meta.label !== undefined && ` ${visibleText(meta.label)}`}
          {meta.label === undefined && meta.derivedLabel !== undefined && (
            <em> {visibleText(meta.derivedLabel)}</em>
          )}
        </span>
      ))}
    </div>
  );
}

function LabelOf({ latent }: { latent: CardLatent }): JSX.Element {
  if (latent.label) return <span>{visibleText(latent.label)}</span>;
  const effects = latent.logitEffects ?? [];
  if (effects.length === 0) return <span class="quiet">no label</span>;
  return (
    <em title="No label: the next tokens that this latent raises most">
      {effects.map((effect) => `“${visibleText(effect)}”`).join(" ")}
    </em>
  );
}

function Predictions({ predictions }: { predictions: TokenPredictions | undefined }): JSX.Element {
  if (!predictions) return <p class="quiet">Asking the language model…</p>;
  return (
    <>
      <ol class="next">
        {predictions.top.map(({ text, probability }) => (
          <li key={text}>
            <span class="token">{visibleText(text) || "∅"}</span> {figure(probability * 100)} %
          </li>
        ))}
      </ol>
      {predictions.nextTokenLoss !== null && (
        <p class="quiet">
          Loss of the token that follows: {figure(predictions.nextTokenLoss)} nats
        </p>
      )}
    </>
  );
}
