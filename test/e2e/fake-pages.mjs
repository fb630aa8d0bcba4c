// Answers of a language server that never was, for looking at pages in states that are hard to reach for real.

const words =
  "Albert Einstein was born in Ulm , in the Kingdom of Württemberg , and moved to Munich with his family .\n".split(
    /(?=[ \n])/,
  );

/** Texts that try to be markup, or to look like something else. */
export const hostileTexts = [
  "<img src=x onerror=window.hacked=1>",
  "<script>window.hacked=1</script>",
  " \u202egnirts\u202c",
  "\u200b",
  "",
  "\u0000\u001b[31m",
  "👩‍👩‍👧",
  "ﷺ",
  "&lt;b&gt;",
  "\ud800",
  "x".repeat(300),
];

/** Handlers by method; `change` overrides parts of the overview, `tokens` is the number of tokens, `texts` their texts. */
export function fakePages({ change = {}, tokens = 120, texts, labels = true } = {}) {
  const uri = "file:///demo/prompts/einstein.txt";
  const textAt = (index) =>
    index === 0 ? "<|endoftext|>" : (texts ?? words)[(index - 1) % (texts ?? words).length];
  const pinned = [];
  const revealed = [];
  const asked = [];
  const overview = {
    uri,
    version: 1,
    lm: "demo-lm",
    saes: [
      {
        id: "resid2-6144",
        hook: "blocks.2.hook_resid_post",
        d_sae: 6144,
        badges: [],
        selfCheck: { tokens: 1000, l0: 15.7, fvu: 0.104, deadShare: 0.4, warnings: [] },
      },
      { id: "resid2-1024", hook: "blocks.2.hook_resid_post", d_sae: 1024, badges: ["no labels"] },
    ],
    device: "cpu",
    contexts: [{ index: 0, title: "einstein.txt", tokens }],
    problems: [],
    state: "ready",
    ...change,
  };
  const latent = (index, rank) => ({
    latent: (index * 97 + rank * 431) % 6144,
    activation: 12 / (rank + 1),
    share: 0.9 / (rank + 1),
    dense: rank === 4,
    ...(labels && rank !== 1
      ? { label: texts ? texts[rank % texts.length] : `names of physicists ${rank}` }
      : { logitEffects: [" theory", " relativ", " prize"] }),
    ...(rank === 0
      ? {
          metaLatents: [
            { latent: 12, activation: 0.7, share: 0.31, label: "people" },
            { latent: 88, activation: 0.3, share: 0.08, derivedLabel: "born in / city names" },
          ],
        }
      : {}),
  });
  const handlers = {
    start: () => ({ uri, name: "einstein.txt", selection: null }),
    overview: () => ({ ...overview, pinned: [...pinned] }),
    tokens: ({ from, to, mode }) => ({
      version: 1,
      tokens: Array.from({ length: Math.min(to, tokens) - from }, (_, at) => {
        const index = from + at;
        const heat =
          mode === "pinned" && pinned.length === 0 ? 0 : ((100 + index * 37) % 101) / 100;
        return {
          index,
          text: textAt(index),
          special: index === 0,
          inserted: index === 0,
          heat,
          ...(mode === "pinned" ? { colour: (index % Math.max(1, pinned.length)) + 1 } : {}),
          value: heat * 12,
          ...(index === 0 ? {} : { startOffset: index * 5, endOffset: index * 5 + 5 }),
          description: `${JSON.stringify(textAt(index))}, token ${index + 1} of ${tokens}, strongest latent 5 at 3.1`,
        };
      }),
      scale: { min: 0, max: 12, unit: "activation" },
    }),
    tokenCard: ({ context, index, sae, top }) => ({
      version: 1,
      context,
      index,
      id: 4000 + index,
      text: textAt(index),
      position: index,
      tokensInContext: tokens,
      special: index === 0,
      sae,
      hook: "blocks.2.hook_resid_post",
      device: "cpu",
      l0: 16,
      squaredError: 21,
      inputNorm: 14,
      latents: Array.from({ length: Math.min(16, top ?? 16) }, (_, rank) => latent(index, rank)),
    }),
    predictions: () => ({
      nextTokenLoss: 2.31,
      top: [
        { text: " was", probability: 0.41 },
        { text: " and", probability: 0.12 },
        { text: "\n", probability: 0.03 },
      ],
    }),
    tokenAt: () => null,
    pin: ({ sae, latent: index }) =>
      void pinned.push({ sae, latent: index, colour: pinned.length + 1, max: 30.6 }),
    unpin: ({ sae, latent: index }) => {
      const at = pinned.findIndex((it) => it.sae === sae && it.latent === index);
      if (at >= 0) pinned.splice(at, 1);
    },
    switchFile: () => void Object.assign(overview, { state: "ready" }),
    status: () => ({ uri, state: overview.state, saes: [], text: "" }),
    reveal: (range) => void revealed.push(range),
    runCommand: ({ command }) => void asked.push(command),
  };
  return { handlers, overview, pinned, revealed, asked };
}
