// A sweep of SAEs that never were, and answers about it.

const letters = "abcdefghijklmnopqrstuvwxyz".split("");

/** Widths × L0, and some trained otherwise. `hostile`: a text that stands wherever a file's text stands. */
export function fakeSweep({ hostile } = {}) {
  const rows = [];
  for (const d_sae of [1024, 6144, 24576])
    for (const l0 of [3, 18, 70]) rows.push(row(rows.length, { d_sae, l0 }));
  rows.push(row(9, { d_sae: 6144, l0: 20, trainedWith: ["tied"] }));
  rows.push(row(10, { d_sae: 6144, l0: 22, trainedWith: ["end-to-end", "adversarial"] }));
  if (hostile) Object.assign(rows[0], { sae: hostile, architecture: hostile });
  return {
    schemaVersion: 1,
    kind: "absorption-sweep",
    lm: "demo/lm",
    task: hostile ?? "first-letter",
    setting: "prompts",
    probe: "logistic",
    selection: "mean-difference",
    judge: "held-out",
    seed: 0,
    corpus: { files: [hostile ?? "moby-dick.txt.gz"], tokens: 586142 },
    rows,
    failed: [{ sae: "meta-512", problem: hostile ?? "it is a meta-SAE" }],
    waiting: ["wide-65k"],
  };
}

function row(nth, { d_sae, l0, trainedWith = [] }) {
  const rateOf = (at) => Math.max(0, Math.sin(nth * 2.3 + at) * (d_sae / 24576) ** 0.3);
  return {
    sae: `w${d_sae}-l${l0}${trainedWith.map((it) => `-${it}`).join("")}`,
    path: "/saes",
    hook: "blocks.2.hook_resid_post",
    architecture: "batchtopk",
    trainedWith,
    d_sae,
    l0: l0 + 0.4,
    mean: {
      labels: 24,
      probeF1: 0.97,
      mainF1: 0.72,
      mainLatents: 1.4,
      fullRate: rateOf(1) / 2,
      partialRate: rateOf(2) / 3,
      fraction: rateOf(3) / 2,
      standardDeviation: { fullRate: 0.1, fraction: 0.234 },
    },
    labels: letters.slice(0, 24).map((label, at) => ({
      label,
      probeCounts: at % 11 !== 10,
      hasMainLatents: at % 7 !== 6,
      fullRate: rateOf(at) * 0.8,
      partialRate: rateOf(at + 1) * 0.3,
      meanFraction: rateOf(at),
      words: 60 + at,
      probeF1: 0.9,
      mainF1: 0.4 + rateOf(at) / 2,
    })),
    frequency: [
      { from: 0, below: 0, words: 54, fullRate: 0, meanFraction: 0.1 },
      { from: 1, below: 10, words: 45, fullRate: 0.05, meanFraction: 0.1 },
      { from: 1000, below: 10000, words: 6, fullRate: rateOf(4), meanFraction: 0.4 },
      ...(nth % 2
        ? [{ from: 10000, below: null, words: 2, fullRate: 0.5, meanFraction: 0.6 }]
        : []),
    ],
    problems: [],
  };
}

/** Handlers of the page's host and server. */
export function fakeSweepHost({ folder, hostile, slow = false, picked = "/out" } = {}) {
  const sweep = fakeSweep({ hostile });
  return {
    handlers: {
      start: () => (folder ? { sweep: folder } : {}),
      absorptionChoices: () => ({
        lm: "demo/lm",
        saes: sweep.rows.slice(0, 3).map((it) => ({ id: it.sae, detail: `${it.d_sae} latents` })),
        tasks: [{ name: "first-letter", labels: "first-letter", detail: "words by letter" }],
      }),
      absorptionProgress: () => ({ share: 0.5, text: "reading word 40 of 80" }),
      pickSweep: () => (picked ? { folder: picked } : {}),
      openSweep: ({ folder: opened }) => {
        if (opened === "/nothing") throw new Error("/nothing holds no sweep.json");
        return sweep;
      },
      measureAbsorption: ({ sae }) => {
        if (slow) return new Promise(() => {});
        if (sae === sweep.rows[1].sae) throw new Error("its hook point is not the model's");
        const { corpus, ...report } = sweep;
        return { report, corpus, names: {}, row: sweep.rows.find((it) => it.sae === sae) };
      },
    },
  };
}
