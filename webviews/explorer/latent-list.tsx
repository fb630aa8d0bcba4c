/** Search box and list. The keyboard stays in the box: arrows move in the list, Enter opens. */
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { ExplorerSae, LatentItem } from "../../server/protocol/explorer.ts";
import { figure } from "../text/heat-modes.ts";
import { visibleText } from "../text/visible-text.ts";
import { Found } from "./found.tsx";
import type { PageProps } from "./explorer-page.tsx";
import type { ListOrder, SearchMode } from "./explorer-model.ts";

const modes: readonly { mode: SearchMode; name: string; hint: string }[] = [
  { mode: "label", name: "Label or index", hint: "Words of a label, or an index such as 123" },
  { mode: "token", name: "Top for token", hint: "The text of a token, such as water" },
  { mode: "similar", name: "Similar to", hint: "The index of a latent" },
];

const orders: readonly { order: ListOrder; name: string }[] = [
  { order: "latent", name: "by index" },
  { order: "density", name: "by density" },
  { order: "max", name: "by largest activation" },
];

/** Left side of the page. */
export function LatentList({ model, state, sae }: PageProps & { sae: ExplorerSae }): JSX.Element {
  const { items, total, active, listProblem, latent, given } = state;
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => {
    list.current?.children[active]?.scrollIntoView({ block: "nearest" });
  }, [active, items]);
  return (
    <section class="list-pane" aria-label="Latents">
      <SaeChoice model={model} state={state} sae={sae} />
      <SearchBox model={model} state={state} sae={sae} />
      {given?.kind === "selection" && (
        <p class="quiet">
          Latents that fire on the selected text.{" "}
          <button class="link" onClick={() => model.type("")}>
            Show all
          </button>
        </p>
      )}
      {state.found && given?.kind === "found" && (
        <Found
          found={state.found}
          open={(it) => void model.open(it)}
          showAll={() => model.type("")}
        />
      )}
      <p class="quiet" role="status">
        {listProblem ?? `${total} latents`}
      </p>
      {sae.index && items.length > 0 && (
        <button class="link" onClick={() => model.command("explainLatents")}>
          Explain these…
        </button>
      )}
      <ul class="latents" role="listbox" id="latents" aria-label="Latents" ref={list}>
        {items.map((item, at) => (
          <Item
            key={item.latent}
            item={item}
            isActive={at === active}
            isOpen={item.latent === latent}
            open={() => {
              model.move(at - active);
              void model.open(item.latent);
            }}
          />
        ))}
      </ul>
      {items.length < total && (
        <button class="link" onClick={() => void model.more()}>
          Show more
        </button>
      )}
    </section>
  );
}

function SaeChoice({ model, state, sae }: PageProps & { sae: ExplorerSae }): JSX.Element {
  const { index } = sae;
  return (
    <header class="sae">
      <label>
        <span class="sr-only">SAE</span>
        <select
          value={sae.id}
          onChange={(event) => void model.chooseSae(event.currentTarget.value)}
        >
          {state.saes?.map(({ id }) => (
            <option key={id} value={id}>
              {id}
            </option>
          ))}
        </select>
      </label>
      <p class="quiet">
        {sae.d_sae} latents at {sae.hook} of {sae.lm}.{" "}
        {index
          ? `Index of ${index.tokens} tokens; ${index.active} latents fire in it.`
          : "No index yet: contexts, density and neighbours come with one."}
      </p>
      {sae.problem !== undefined && !index && <p class="problem">{sae.problem}</p>}
      {!index && <button onClick={() => model.command("indexCorpus")}>Index Corpus…</button>}
    </header>
  );
}

function SearchBox({ model, state, sae }: PageProps & { sae: ExplorerSae }): JSX.Element {
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => {
    box.current?.focus();
    const focus = (event: KeyboardEvent): void => {
      const target = event.target as HTMLElement;
      if (event.key !== "/" || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) return;
      event.preventDefault();
      box.current?.select();
    };
    window.addEventListener("keydown", focus);
    return () => window.removeEventListener("keydown", focus);
  }, []);
  const { mode, text, order, items, active } = state;
  const hint = modes.find((it) => it.mode === mode)?.hint ?? "";
  const keys: Readonly<Record<string, () => void>> = {
    ArrowDown: () => model.move(1),
    ArrowUp: () => model.move(-1),
    PageDown: () => model.move(10),
    PageUp: () => model.move(-10),
    Enter: () => void model.openActive(),
    Escape: () => model.type(""),
  };
  return (
    <div class="search">
      <label>
        <span class="sr-only">Search by</span>
        <select
          value={mode}
          onChange={(event) => model.setMode(event.currentTarget.value as SearchMode)}
        >
          {modes
            .filter((it) => it.mode === "label" || sae.index)
            .map((it) => (
              <option key={it.mode} value={it.mode}>
                {it.name}
              </option>
            ))}
        </select>
      </label>
      <input
        ref={box}
        type="text"
        role="combobox"
        aria-label={hint}
        aria-expanded="true"
        aria-controls="latents"
        aria-activedescendant={items[active] ? `latent-${items[active].latent}` : undefined}
        placeholder={hint}
        value={text}
        onInput={(event) => model.type(event.currentTarget.value)}
        onKeyDown={(event) => {
          const act = keys[event.key];
          if (!act) return;
          event.preventDefault();
          act();
        }}
      />
      {text === "" && sae.index && (
        <label>
          <span class="sr-only">Order</span>
          <select
            value={order}
            onChange={(event) => model.setOrder(event.currentTarget.value as ListOrder)}
          >
            {orders.map((it) => (
              <option key={it.order} value={it.order}>
                {it.name}
              </option>
            ))}
          </select>
        </label>
      )}
    </div>
  );
}

function Item(props: {
  item: LatentItem;
  isActive: boolean;
  isOpen: boolean;
  open: () => void;
}): JSX.Element {
  const { item, isActive, isOpen, open } = props;
  const { latent, label, tokens, density, score, note } = item;
  return (
    // The search box has the keyboard and says which option is active.
    // oxlint-disable-next-line jsx-a11y/click-events-have-key-events
    <li
      id={`latent-${latent}`}
      role="option"
      class={`item${isActive ? " active" : ""}${isOpen ? " open" : ""}`}
      aria-selected={isActive}
      onClick={open}
    >
      <span class="number">#{latent}</span>
      <span class="what">
        {label !== undefined
          ? visibleText(label)
          : tokens && <em>{tokens.map((it) => `“${visibleText(it)}”`).join(" ")}</em>}
      </span>
      {note !== undefined && <span class="quiet">{note}</span>}
      <span class="number quiet">
        {score !== undefined
          ? figure(score)
          : density !== undefined
            ? `${figure(density * 100)} %`
            : ""}
      </span>
    </li>
  );
}
