// Answers about absorption of a language server that never was.

/** An SAE with a label that is absorbed in part, one that is not, and one without latents. */
export function fakeAbsorption({ label = "for (preposition)", slow = false } = {}) {
  const taken = { isFull: true, fraction: 0.835 };
  const firing = { mainFires: true, mainProjection: 65 };
  const names = ["found", "free", "full", "first", "few", "far", "fast", "farm", "fact", "fire"];
  const words = [
    ...names.map((text) => word(text, [share(1527, 65, 0.41)], firing)),
    word("for", [share(5982, 60.1, 0.33), share(4, -2, -0.1)], taken),
    word("from", [share(2950, 55, 0.31)], { ...taken, fraction: 0.76 }),
  ];
  const scores = { precision: 0.94, recall: 0.81, f1: 0.87 };
  const letter = (name, change) => ({
    label: name,
    trainWords: 300,
    testWords: 75,
    probe: { ...scores, f1: 0.93, auc: 0.99, calibrationError: 0.02 },
    f1ByK: [0.87, 0.88],
    main: [{ latent: 1527, cosine: 0.41 }],
    mainProbe: scores,
    mainFires: scores,
    mainFiresAgainstProbe: scores,
    probeCounts: true,
    hasMainLatents: true,
    full: 0,
    partial: 0,
    fullRate: 0,
    partialRate: 0,
    meanFraction: 0,
    absorbers: [],
    words: words.slice(0, names.length),
    ...change,
  });
  const measured = {
    names: { 1527: "words with f", 5982: label },
    report: {
      schemaVersion: 1,
      lm: "demo",
      sae: "resid2-6144-k2",
      hook: "blocks.2.hook_resid_post",
      d_sae: 6144,
      task: "first-letter",
      setting: "prompts",
      rule: "sae-bench",
      probe: "logistic",
      selection: "mean-difference",
      thresholds: {},
      seed: 0,
      judge: "held-out",
      trainWords: 1600,
      testWords: 400,
      mean: {
        labels: 3,
        probeF1: 0.93,
        mainF1: 0.7,
        mainLatents: 1,
        fullRate: 0.06,
        partialRate: 0,
        fraction: 0.04,
        standardDeviation: { fullRate: 0.1, fraction: 0.1 },
      },
      labels: [
        letter("e"),
        letter("f", {
          full: 2,
          fullRate: 2 / 12,
          meanFraction: 0.133,
          words,
          absorbers: [
            { latent: 5982, cosine: 0.33, words: ["for"], meanShare: 0.835 },
            { latent: 2950, cosine: 0.31, words: ["from"], meanShare: 0.76 },
          ],
        }),
        letter("q", { hasMainLatents: false, mainProbe: { ...scores, f1: 0.31 } }),
      ],
      problems: ["no latents for q (F1 of the main latents below 0.6)"],
    },
  };
  const handlers = {
    start: () => ({}),
    absorptionChoices: () => ({
      lm: "demo",
      saes: [{ id: "resid2-6144-k2", detail: "6144 latents at blocks.2.hook_resid_post" }],
      tasks: [
        { name: "first-letter", labels: "first-letter", detail: "“{word} has the first letter:”" },
      ],
    }),
    measureAbsorption: () => (slow ? new Promise(() => {}) : measured),
    absorptionProgress: () => ({ share: 0.3, text: "resid2-6144-k2: encoding" }),
    pickTexts: () => ["/texts/a.txt"],
  };
  return { handlers };
}

function share(latent, projection, cosine) {
  return { latent, projection, cosine, activation: projection / cosine };
}

function word(text, strongest, rest) {
  return {
    word: text,
    projection: 72,
    mainProjection: 0,
    mainFires: false,
    fraction: 0,
    isFull: false,
    isPartial: false,
    strongest,
    ...rest,
  };
}
