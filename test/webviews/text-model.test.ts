import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { PageToken, TextOverview } from "../../server/protocol/page.ts";
import { TextModel } from "../../webviews/text/text-model.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("asks for the blocks in view and for no others", async () => {
  const { model, calls, settle } = page({ tokens: 950 });
  await model.start();
  model.show(2, 4);
  await settle();
  expect(calls("tokens")).toEqual([
    { from: 200, to: 300, context: 0, mode: "activation", sae: "a", uri: "u" },
    { from: 300, to: 400, context: 0, mode: "activation", sae: "a", uri: "u" },
  ]);
  model.show(3, 5);
  model.show(9, 12);
  await settle();
  expect(calls("tokens").map((it) => it["from"])).toEqual([200, 300, 400, 900]);
  expect(calls("tokens").at(-1)).toMatchObject({ to: 950 });
  expect(model.token(949)?.index).toBe(949);
});

test("another heat asks again and keeps the old tokens until the new ones come", async () => {
  const { model, calls, settle } = page();
  await model.start();
  model.show(0, 1);
  await settle();
  model.setMode("l0");
  expect(model.state.blocks.size).toBe(1);
  await settle();
  expect(calls("tokens").map((it) => it["mode"])).toEqual(["activation", "l0"]);
  expect(calls("tokenCard")).toEqual([]);
});

test("a notice while the text is read again keeps what is shown", async () => {
  const { model, calls, settle, overview } = page();
  await model.start();
  model.show(0, 1);
  await settle();
  overview.value = { ...overview.value, state: "working", contexts: [context(0)], saes: [] };
  model.changed();
  model.changed();
  await settle();
  expect(model.tokens).toBe(80);
  expect(model.state.blocks.size).toBe(1);
  expect(model.state.sae).toBe("a");
  expect(calls("overview").length).toBe(2);
  overview.value = { ...first(), contexts: [context(60)] };
  model.changed();
  await settle();
  expect(model.tokens).toBe(60);
  expect(calls("tokens").at(-1)).toMatchObject({ from: 0, to: 60 });
});

test("a text that the reader forgot is asked for once, and shown until it is read again", async () => {
  const { model, calls, settle, overview } = page();
  await model.start();
  model.show(0, 1);
  await settle();
  const { lm: _, ...rest } = first();
  overview.value = { ...rest, contexts: [context(0)], saes: [] };
  model.changed();
  await settle();
  expect(calls("tokens").slice(1)).toEqual([
    { uri: "u", context: 0, from: 0, to: 1, mode: "activation" },
  ]);
  expect(model.tokens).toBe(80);
  overview.value = first();
  model.changed();
  await settle();
  expect(calls("tokens").at(-1)).toMatchObject({ from: 0, to: 80 });
});

test("an answer to a question that is no longer asked is dropped", async () => {
  const { model, settle, hold } = page();
  await model.start();
  const release = hold("tokens");
  model.show(0, 1);
  model.setSae("b");
  release();
  await settle();
  expect(model.state.blocks.get(0)?.[0]?.description).toBe("b activation");
});

test("choosing a token asks for its card and selects it in the editor, following does not", async () => {
  const { model, calls, settle } = page();
  await model.start();
  model.show(0, 1);
  await settle();
  await model.choose(5);
  await settle();
  expect(calls("reveal")).toEqual([{ uri: "u", startOffset: 50, endOffset: 60 }]);
  expect(model.state.card).toMatchObject({ index: 5 });
  model.follow({ context: 0, index: 7 });
  model.follow({ context: 0, index: 7 });
  await settle();
  expect(calls("reveal").length).toBe(1);
  expect(calls("tokenCard").map((it) => it["index"])).toEqual([5, 7]);
});

test("an inserted token has a card and no place in the editor", async () => {
  const { model, calls, settle } = page();
  await model.start();
  model.show(0, 1);
  await settle();
  await model.choose(0);
  await settle();
  expect(calls("reveal")).toEqual([]);
  expect(calls("tokenCard").length).toBe(1);
});

test("following into another context shows that context", async () => {
  const { model, calls, settle, overview } = page();
  overview.value = { ...first(), contexts: [context(80), { ...context(30), index: 1 }] };
  await model.start();
  model.show(0, 1);
  await settle();
  model.follow({ context: 1, index: 3 });
  await settle();
  expect(model.tokens).toBe(30);
  expect(calls("tokens").at(-1)).toMatchObject({ context: 1, to: 30 });
  expect(calls("tokenCard").at(-1)).toMatchObject({ context: 1, index: 3 });
});

test("a failure is shown in a sentence, without its stack", async () => {
  const { model, fail } = page();
  fail("overview", "the reader has ended\n    at somewhere");
  await model.start();
  expect(model.state.problem).toBe("the reader has ended");
});

test("what is remembered brings the view back", async () => {
  const remembered = { uri: "u", context: 0, mode: "l0" as const, sae: "b", index: 9 };
  const { model, calls, settle, last } = page({ remembered });
  await model.start();
  model.show(0, 1);
  await settle();
  expect(calls("tokens")[0]).toMatchObject({ mode: "l0", sae: "b" });
  expect(calls("tokenCard")[0]).toMatchObject({ index: 9, sae: "b" });
  expect(last()).toEqual({ ...remembered, showsPredictions: false });
});

test("pinning shows the pinned latents' heat", async () => {
  const { model, calls, settle } = page();
  await model.start();
  await model.togglePin(3);
  await settle();
  expect(calls("pin")).toEqual([{ sae: "a", latent: 3 }]);
  expect(model.state.mode).toBe("pinned");
});

test("a file that is off is not asked for tokens", async () => {
  const { model, calls, settle, overview } = page();
  overview.value = { ...first(), state: "off" };
  await model.start();
  model.show(0, 1);
  await settle();
  expect(calls("tokens")).toEqual([]);
});

type Call = Record<string, unknown>;

function context(tokens: number): TextOverview["contexts"][number] {
  return { index: 0, title: "", tokens };
}

function first(tokens = 80): TextOverview {
  const sae = { hook: "blocks.2.hook_resid_post", d_sae: 16, badges: [] };
  return {
    uri: "u",
    version: 1,
    lm: "demo",
    saes: [
      { ...sae, id: "a" },
      { ...sae, id: "b" },
    ],
    contexts: [context(tokens)],
    pinned: [],
    problems: [],
    state: "ready",
  };
}

/** A model over a host that answers at once, unless a method is held or made to fail. */
function page(options: { tokens?: number; remembered?: object } = {}) {
  const made: { method: string; params: Call }[] = [];
  const overview = { value: first(options.tokens) };
  const held = new Map<string, Promise<void>>();
  const failing = new Map<string, string>();
  let last: unknown;
  const token = (params: Call, index: number): PageToken => ({
    index,
    id: 100 + index,
    text: "x",
    special: false,
    inserted: index === 0,
    heat: 0.5,
    value: 1,
    description: `${String(params["sae"])} ${String(params["mode"])}`,
    ...(index === 0 ? {} : { startOffset: index * 10, endOffset: index * 10 + 10 }),
  });
  const answers: Record<string, (params: Call) => unknown> = {
    start: () => ({ uri: "u", name: "u.txt", selection: null }),
    overview: () => overview.value,
    tokens: (params) => {
      const [from, to] = [params["from"] as number, params["to"] as number];
      const tokens = Array.from({ length: to - from }, (_, at) => token(params, from + at));
      return { version: 1, tokens, scale: { min: 0, max: 1, unit: "" } };
    },
    tokenCard: (params) => params,
  };
  const call = async (method: string, params: Call): Promise<unknown> => {
    made.push({ method, params });
    await held.get(method);
    const failure = failing.get(method);
    if (failure !== undefined) throw new Error(failure);
    return answers[method]?.(params) ?? null;
  };
  const model = new TextModel({ call } as never, options.remembered, {
    onChange: () => {},
    remember: (it) => (last = it),
  });
  return {
    model,
    overview,
    calls: (method: string) => made.filter((it) => it.method === method).map((it) => it.params),
    settle: () => vi.advanceTimersByTimeAsync(100),
    fail: (method: string, text: string) => failing.set(method, text),
    hold: (method: string) => {
      const releases: (() => void)[] = [];
      held.set(method, new Promise((resolve) => releases.push(resolve)));
      return () => {
        held.delete(method);
        for (const release of releases) release();
      };
    },
    last: () => last,
  };
}
