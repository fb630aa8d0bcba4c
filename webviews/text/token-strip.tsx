/**
 * The tokens of a context as running text with heat. Only the blocks in view are in the document. One token is in
 * the tab order; arrows move along and between lines, Home and End to the ends of a line, with Ctrl to the ends of
 * the context.
 */
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { heatStep, type PageToken } from "../../server/protocol/page.ts";
import { lineEnd, type TokenBox, tokenOnNextLine } from "./line-step.ts";
import {
  blockCount,
  blockSize,
  blockTop,
  estimateHeight,
  type StripWindow,
  stripWindow,
} from "./strip-window.ts";
import type { TextModel, TextState } from "./text-model.ts";
import { endsLine, visibleText } from "./visible-text.ts";

interface StripProps {
  readonly model: TextModel;
  readonly state: TextState;
}

/** Heights (px) of the blocks that were drawn, and what the others are taken for. */
interface Heights {
  readonly measured: Map<number, number>;
  estimate: number | undefined;
}

/** Height (px) of a block that nobody has drawn yet. */
const unknownHeight = 160;

/** The strip in its scrolling pane. */
export function TokenStrip({ model, state }: StripProps): JSX.Element {
  const pane = useRef<HTMLDivElement>(null);
  const heights = useRef<Heights>({ measured: new Map(), estimate: undefined });
  const wantsFocus = useRef(false);
  // The token to bring into view; tried again until its block has been read and drawn.
  const goal = useRef<number | undefined>(undefined);
  const [view, setView] = useState({ top: 0, height: 600, width: 0 });
  const { tokens } = model;
  const sized = {
    count: blockCount(tokens),
    measured: heights.current.measured,
    estimate: heights.current.estimate ?? unknownHeight,
  };
  const shown = stripWindow(sized, view.top, view.height);

  useEffect(() => model.show(shown.from, shown.to), [model, shown.from, shown.to, tokens]);
  useEffect(() => watchPane(pane.current, heights.current, setView), []);
  useLayoutEffect(() => measureBlocks(pane.current, heights.current));
  useLayoutEffect(() => {
    goal.current = state.selected;
  }, [state.selected, state.context]);
  useLayoutEffect(() => {
    const { current: index } = goal;
    if (!pane.current || index === undefined) return;
    const top = blockTop(sized, Math.floor(index / blockSize));
    if (bringIntoView(pane.current, index, top)) goal.current = undefined;
  });
  useLayoutEffect(() => {
    if (!wantsFocus.current || !pane.current) return;
    const element = tokenElement(pane.current, state.selected);
    if (!element) return;
    wantsFocus.current = false;
    element.focus({ preventScroll: true });
  });

  const onKeyDown = (event: KeyboardEvent): void => {
    if (!pane.current) return;
    const index = nextIndex(event, pane.current, { selected: state.selected, tokens });
    if (index === undefined) return;
    event.preventDefault();
    wantsFocus.current = true;
    void model.choose(index);
  };
  const onClick = (event: MouseEvent): void => {
    const element = (event.target as Element).closest<HTMLElement>("[data-index]");
    if (element) void model.choose(Number(element.dataset["index"]));
  };
  return (
    <div
      class="strip-pane"
      ref={pane}
      onKeyDown={onKeyDown}
      onClick={onClick}
      onWheel={() => {
        goal.current = undefined;
      }}
    >
      <div role="listbox" aria-label={`${tokens} tokens`} class="strip" tabIndex={-1}>
        <div style={{ height: `${shown.before}px` }} />
        <Blocks model={model} state={state} shown={shown} estimate={sized.estimate} />
        <div style={{ height: `${shown.after}px` }} />
      </div>
    </div>
  );
}

function Blocks(
  props: StripProps & { readonly shown: StripWindow; readonly estimate: number },
): JSX.Element {
  const { model, state, shown } = props;
  const inView = Array.from({ length: shown.to - shown.from }, (_, at) => shown.from + at);
  const selectedBlock = Math.floor((state.selected ?? -1) / blockSize);
  // The tab stop is the selected token, or the first one drawn where that is out of view.
  const firstDrawn = inView.find((block) => state.blocks.has(block)) ?? 0;
  const tabStop = inView.includes(selectedBlock) ? state.selected : firstDrawn * blockSize;
  return (
    <>
      {inView.map((block) => {
        const first = block * blockSize;
        const tokens = state.blocks.get(block);
        const size = Math.min(blockSize, model.tokens - first);
        return (
          <div class="block" key={block} data-block={block}>
            <span class="position" aria-hidden="true">
              {first}
            </span>
            <div role="group" aria-label={`Tokens ${first} to ${first + size - 1}`} class="tokens">
              {tokens ? (
                tokens.map((token, at) => (
                  <Token
                    key={first + at}
                    token={token}
                    index={first + at}
                    total={model.tokens}
                    selected={state.selected === first + at}
                    isTabStop={tabStop === first + at}
                  />
                ))
              ) : (
                <div class="unread" style={{ height: `${props.estimate}px` }} />
              )}
            </div>
          </div>
        );
      })}
    </>
  );
}

function Token(props: {
  token: PageToken;
  index: number;
  total: number;
  selected: boolean;
  isTabStop: boolean;
}): JSX.Element {
  const { token, index, selected } = props;
  const step = heatStep(token.heat);
  const kind = token.special ? " special" : token.inserted ? " inserted" : "";
  const text = visibleText(token.text);
  const pin = token.colour === undefined ? "" : ` pin${token.colour}`;
  const heat = step > 0 ? ` heat${step}${pin}` : "";
  return (
    <>
      <span
        role="option"
        class={`token${kind}${heat}${selected ? " selected" : ""}`}
        data-index={index}
        tabIndex={props.isTabStop ? 0 : -1}
        aria-selected={selected}
        aria-posinset={index + 1}
        aria-setsize={props.total}
        aria-label={token.description}
        title={token.description}
      >
        {text || "∅"}
      </span>
      {endsLine(token.text) && <br />}
    </>
  );
}

/** Follows scrolling and resizing; a new width makes all measured heights wrong. */
function watchPane(
  pane: HTMLElement | null,
  heights: Heights,
  setView: (view: { top: number; height: number; width: number }) => void,
): () => void {
  if (!pane) return () => {};
  let width = pane.clientWidth;
  const update = (): void => {
    if (pane.clientWidth !== width) {
      heights.measured.clear();
      heights.estimate = undefined;
    }
    width = pane.clientWidth;
    setView({ top: pane.scrollTop, height: pane.clientHeight, width });
  };
  const resized = new ResizeObserver(update);
  resized.observe(pane);
  pane.addEventListener("scroll", update, { passive: true });
  update();
  return () => {
    resized.disconnect();
    pane.removeEventListener("scroll", update);
  };
}

function measureBlocks(pane: HTMLElement | null, heights: Heights): void {
  for (const element of pane?.querySelectorAll<HTMLElement>("[data-block]") ?? []) {
    if (element.querySelector(".unread")) continue;
    const { height } = element.getBoundingClientRect();
    heights.measured.set(Number(element.dataset["block"]), height);
  }
  // Kept until the width changes: space that changed while someone scrolls would move the text away.
  if (heights.measured.size > 0)
    heights.estimate ??= estimateHeight(heights.measured, unknownHeight);
}

/** False where the token is not drawn yet; its block's place is scrolled to instead. */
function bringIntoView(pane: HTMLElement, index: number, top: number): boolean {
  const element = tokenElement(pane, index);
  if (element) element.scrollIntoView({ block: "nearest" });
  else pane.scrollTop = top;
  return element !== null;
}

function tokenElement(pane: HTMLElement, index: number | undefined): HTMLElement | null {
  return pane.querySelector<HTMLElement>(`[data-index="${index}"]`);
}

/** The token that a key leads to; undefined for keys that are not ours. */
function nextIndex(
  event: KeyboardEvent,
  pane: HTMLElement,
  at: { selected: number | undefined; tokens: number },
): number | undefined {
  if (event.altKey || event.metaKey) return undefined;
  const focused = (event.target as HTMLElement).dataset["index"];
  const here = focused === undefined ? (at.selected ?? 0) : Number(focused);
  const last = at.tokens - 1;
  const inside = (index: number): number => Math.max(0, Math.min(last, index));
  switch (event.key) {
    case "ArrowRight":
      return inside(here + 1);
    case "ArrowLeft":
      return inside(here - 1);
    case "ArrowDown":
      return inside(tokenOnNextLine(boxesOf(pane), here, 1) ?? here);
    case "ArrowUp":
      return inside(tokenOnNextLine(boxesOf(pane), here, -1) ?? here);
    case "PageDown":
      return inside(here + blockSize);
    case "PageUp":
      return inside(here - blockSize);
    case "Home":
      return event.ctrlKey ? 0 : (lineEnd(boxesOf(pane), here, -1) ?? 0);
    case "End":
      return event.ctrlKey ? last : (lineEnd(boxesOf(pane), here, 1) ?? last);
    case "Enter":
    case " ":
      return here;
    default:
      return undefined;
  }
}

function boxesOf(pane: HTMLElement): TokenBox[] {
  return [...pane.querySelectorAll<HTMLElement>("[data-index]")].map((element) => {
    // A token that wraps has two boxes; the first is where a reader sees it begin.
    const { left, right, top, bottom } =
      element.getClientRects()[0] ?? element.getBoundingClientRect();
    return { index: Number(element.dataset["index"]), left, right, top, bottom };
  });
}
