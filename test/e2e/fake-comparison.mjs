// Answers about texts beside each other of a language server that never was.

/** The host's part of both pages; what it was told is kept. */
function host(asked, names) {
  const told = [];
  return {
    told,
    handlers: {
      start: () => ({ asked, names }),
      reveal: (params) => void told.push(params),
      pin: (params) => void told.push(params),
    },
  };
}

/** Two texts with a word exchanged behind 20 tokens that stay. */
export function fakeComparison({ label = "weather", slow = false } = {}) {
  const words = Array.from({ length: 20 }, (_, at) => ` word${at}`);
  const before = tokens(["<|endoftext|>", ...words, " cold", " today", "."]);
  const after = tokens(["<|endoftext|>", ...words, label.slice(0, 9), " today", "."]);
  const same = before.slice(0, 21).map((_, at) => row(at, at, 0));
  const rows = [
    ...same,
    row(21, undefined, 80),
    row(undefined, 21, 90),
    row(22, 22, 31.4, [
      { latent: 7, before: 21.3, after: 0 },
      { latent: 1813, before: 0, after: 10.1 },
    ]),
    row(23, 23, 4, [{ latent: 7, before: 4, after: 0 }]),
  ];
  const fake = host({ before: { uri: "a" }, after: { uri: "b" }, tokens: "all" }, [
    "a.txt (HEAD)",
    `${label}.txt`,
  ]);
  const asked = [];
  const answer = (params) => {
    asked.push(params);
    return {
      sae: params.sae ?? "resid2-6144",
      hook: "blocks.2.hook_resid_post",
      lm: "sae-demo-lm",
      saes: ["resid2-6144", "resid2-1024"],
      before,
      after,
      rows,
      pair: params.pair ?? 0,
      pairs: [
        { title: "block 1", state: "changed" },
        { title: "block 2", state: "same" },
      ],
      change: 205.4,
      dissimilarity: 0.0213,
      latents: [
        latent(7, "vanishes", { from: [2, 25.3], to: [0, 0], change: 25.3, at: 23 }),
        latent(1813, "appears", { from: [0, 0], to: [1, 10.1], change: 10.1, at: 23 }),
        latent(1206, "changes", { from: [12, 805], to: [12, 661.2], change: 144, at: 22 }),
      ],
      counts: { appears: 1, vanishes: 1, changes: 527 },
      labels: { 1813: label },
      problems: [`a text is longer than the model's context (${label})`],
    };
  };
  fake.handlers.compareTexts = slow ? () => new Promise(() => {}) : answer;
  return { ...fake, asked };
}

function tokens(list) {
  return list.map((text, id) => ({ id, text, startOffset: id * 6, endOffset: id * 6 + 6 }));
}

function row(before, after, change, latents = []) {
  const counts = before !== 0;
  const sides = {
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
  };
  return { ...sides, counts, change, dissimilarity: change / 200, latents };
}

function latent(index, kind, { from, to, change, at }) {
  const [tokensBefore, sumBefore] = from;
  const [tokensAfter, sumAfter] = to;
  return {
    latent: index,
    kind,
    change,
    before: { tokens: tokensBefore, max: sumBefore, sum: sumBefore },
    after: { tokens: tokensAfter, max: sumAfter, sum: sumAfter },
    strongest: { row: at, before: sumBefore, after: sumAfter },
  };
}

/** Five sentences, each of which changes those after it. */
export function fakeMap({ label = "weather", slow = false } = {}) {
  const texts = [
    "The ship sailed. ",
    "It was cold. ",
    `${label}. `,
    "It rained. ",
    "They came home.",
  ];
  const sentences = texts.map((text, at) => ({
    text,
    startOffset: at * 20,
    endOffset: at * 20 + 9,
  }));
  const cells = [];
  for (let leftOut = 0; leftOut < 4; leftOut++)
    for (let affected = leftOut + 1; affected < 5; affected++)
      cells.push({
        leftOut,
        affected,
        tokens: 6,
        notCompared: affected === leftOut + 1 ? 1 : 0,
        change: 300 / affected,
        dissimilarity: 0.3 / (affected - leftOut) / (1 + leftOut),
        counts: { appears: 3, vanishes: 2, changes: 30 + affected },
        latents: [
          { latent: 179, kind: "changes", before: 127, after: 271, change: 145, token: 1 },
          { latent: 1813, kind: "vanishes", before: 86.7, after: 0, change: 86.7, token: 2 },
          {
            latent: 100 * leftOut + affected,
            kind: "appears",
            before: 0,
            after: 9,
            change: 9,
            token: 0,
          },
        ],
      });
  const fake = host({ uri: "file:///a.txt", context: 0 }, [`${label}.txt`]);
  const asked = [];
  const answer = (params) => {
    asked.push(params);
    return {
      uri: "file:///a.txt",
      lm: "sae-demo-lm",
      sae: "resid2-6144",
      hook: "blocks.2.hook_resid_post",
      saes: ["resid2-6144"],
      contexts: ["block 1", "block 2"],
      tokens: [" the", label, " p"].map((text, id) => ({
        id,
        text,
        startOffset: id,
        endOffset: id + 1,
      })),
      sentences,
      cells,
      labels: { 179: label },
      problems: [],
    };
  };
  fake.handlers.counterfactualText = slow ? () => new Promise(() => {}) : answer;
  return { ...fake, asked };
}
