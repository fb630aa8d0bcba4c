// Answers about decoders of a language server that never was.

/** A meta-SAE with labels of every kind. */
export function fakeMeta({ label = "articles: the, a, an" } = {}) {
  const name = (latent) =>
    latent === 3
      ? { latent, label: "cities" }
      : latent % 3 === 0
        ? { latent, label }
        : latent % 3 === 1
          ? { latent, label: "born in / names of rivers", derived: true }
          : { latent };
  const rows = Array.from({ length: 60 }, (_, latent) => ({
    ...name(latent),
    members: 99 - latent,
  }));
  const opened = [];
  const handlers = {
    start: () => ({}),
    metaPairs: () => [
      { meta: "meta-512", parent: "resid2-6144", narrower: ["narrow"] },
      { meta: "meta-64", parent: "meta-512", narrower: [] },
    ],
    metaOverview: () => ({
      meta: "meta-512",
      parent: "resid2-6144",
      d_sae: 512,
      parentLatents: 6144,
      l0: 3.96,
      varianceExplained: 0.424,
      shuffledEntries: 0.071,
      shuffledColumns: 0.075,
      dead: 0,
      explainedHistogram: bell(20, 8),
      membersHistogram: bell(8, 5),
    }),
    metaSearch: ({ query, from, to }) => {
      const found = rows.filter((row) => (row.label ?? "").includes(query));
      return { total: found.length, rows: found.slice(from, to) };
    },
    metaBreakdown: ({ latent }) => ({
      ...name(latent),
      explained: 0.48,
      active: 3,
      parts: [173, 55, 3].map((part, rank) => ({
        ...name(part),
        activation: 0.7 / (rank + 1),
        cosine: 0.6 / (rank + 1),
        share: 0.3 / (rank + 1),
      })),
    }),
    metaMemberRows: ({ latent, from, to }) => ({
      ...name(latent),
      count: 112,
      members: Array.from({ length: Math.min(to, 112) - from }, (_, at) => ({
        ...name(from + at === 0 ? 2182 : 40 + from + at),
        activation: 0.8 / (1 + (from + at) / 20),
        cosine: 0.7 / (1 + (from + at) / 30),
      })),
    }),
    metaCompare: ({ narrow }) => ({
      narrow,
      mean: 0.443,
      meanBack: 0.413,
      shuffledMean: 0.232,
      histogram: bell(20, 9),
      histogramBack: bell(20, 8),
    }),
    compareDecompositions: () => {
      opened.push("decompositions");
      return null;
    },
  };
  return { handlers, opened };
}

/** A pair of SAEs; `slow` never ends measuring. */
export function fakeStitching({ slow = false } = {}) {
  const listed = [];
  const agreement = {
    latents: 700,
    bothNovel: 290,
    bothReconstruction: 110,
    novelByCosineOnly: 280,
    novelByEffectOnly: 20,
    agreement: 0.571,
    auc: 0.75,
    bestCosine: 0.41,
    bestAgreement: 0.69,
  };
  const n = 700;
  const cosine = Array.from({ length: n }, (_, at) => 0.1 + (0.88 * ((at * 617) % n)) / n);
  const delta = cosine.map((it, at) => (it - 0.45 + 0.3 * Math.sin(at)) * 10 ** ((at % 5) - 2));
  const figures = {
    narrow: "resid2-1024",
    wide: "resid2-6144",
    hook: "blocks.2.hook_resid_post",
    rule: "effect",
    tokens: 4096,
    cleanCe: 4.73,
    notes: ["resid2-1024 keeps the k largest latents of a token; here all have the threshold 3.1"],
    wideLatents: 6144,
    narrowLatents: 1024,
    fired: n,
    novelByCosine: 5670,
    components: 428,
    byMse: agreement,
    byCe: { ...agreement, latents: 32, auc: null },
    path: [
      ["start", 0, 0, 0.17, 16.2, 4.92],
      ["insert", 700, 0, 0.16, 18.6, 4.91],
      ["insert", 1400, 0, 0.163, 19.8, 4.9],
      ["swap", 1500, 200, 0.2, 20.1, 4.93],
      ["swap", 1600, 433, 0.23, 18.4, 5.02],
      ["rest", 6144, 1024, 0.11, 16.6, 4.85],
    ].map(([phase, inserted, removed, fvu, l0, ce]) => ({
      phase,
      inserted,
      removed,
      mse: fvu * 25_000,
      fvu,
      l0,
      ce,
    })),
    points: { latent: cosine.map((_, at) => at), cosine, delta },
  };
  const handlers = {
    start: () => ({}),
    stitchCandidates: () => ({
      candidates: [sae("resid2-6144", 6144), sae("resid2-1024", 1024)],
      a: "/saes/resid2-1024",
      b: "/saes/resid2-6144",
    }),
    stitchMeasure: () => (slow ? new Promise(() => {}) : figures),
    stitchProgress: () => ({ share: 0.45, text: "walking from narrow to wide" }),
    stitchLatents: (params) => {
      listed.push(params);
      return {
        total: 320,
        rows: Array.from({ length: params.to - params.from }, (_, at) => ({
          latent: params.from + at,
          ...(at % 2 ? { label: "names of rivers" } : {}),
          cosine: cosine[at],
          nearest: { latent: at * 3, label: "water" },
          fired: 12 + at,
          deltaMse: delta[at],
          deltaCe: at % 4 ? null : -0.002,
          group: at % 5 ? 0 : 3,
        })),
      };
    },
    stitchWrite: ({ folder }) => ({
      folder,
      d_sae: 2424,
      inserted: 1400,
      removed: 0,
      fit: { mse: 4000, fvu: 0.16, l0: 19.8, ce: 4.9 },
    }),
    pickTexts: () => ["/texts/a.txt"],
    pickFolder: ({ name }) => ({ folder: `/saes/${name}` }),
    useSae: () => null,
  };
  return { handlers, listed };
}

function sae(id, latents) {
  return { id, path: `/saes/${id}`, detail: `jumprelu, ${latents} latents` };
}

function bell(n, at) {
  return Array.from({ length: n }, (_, bin) => Math.round(900 * Math.exp(-((bin - at) ** 2) / 8)));
}
