// Answers about absorption of a language server that never was.

/** An SAE with a label that is absorbed in part, one that is not, and one without latents. */
export function fakeAbsorption({ label = "for (preposition)", slow = false, start = {} } = {}) {
  const taken = { isFull: true, fraction: 0.835 };
  const firing = { mainFires: true, mainProjection: 65 };
  const spelled = ["found", "free", "full", "first", "few", "far", "fast", "farm", "fact", "fire"];
  const words = [
    ...spelled.map((text) => word(text, [share(1527, 65, 0.41)], firing)),
    word("for", [share(5982, 60.1, 0.33), share(4, -2, -0.1)], taken),
    word("from", [share(2950, 55, 0.31)], { ...taken, fraction: 0.76 }),
  ];
  const names = { 1527: "words with f", 5982: label };
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
    words: words.slice(0, spelled.length),
    ...change,
  });
  const measured = {
    names,
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
  const [revealed, causallyAsked] = [[], []];
  const handlers = {
    start: () => start,
    absorptionChoices: () => ({
      lm: "demo",
      saes: [{ id: "resid2-6144-k2", detail: "6144 latents at blocks.2.hook_resid_post" }],
      tasks: [
        { name: "first-letter", labels: "first-letter", detail: "“{word} has the first letter:”" },
      ],
    }),
    measureAbsorption: () => (slow === true ? new Promise(() => {}) : measured),
    causalAbsorption: (asked) => {
      causallyAsked.push(asked);
      return slow ? new Promise(() => {}) : { report: causalReport(label), names };
    },
    absorptionProgress: () => ({ share: 0.3, text: "resid2-6144-k2: encoding" }),
    pickTexts: () => ["/texts/a.txt"],
    measuredAs: () => ({ question: { labels: "first-letter", setting: "prompts" } }),
    occurrences: ({ sought }) => ({
      places: places(label, sought),
      total: 712,
      files: 14,
      leftOut: ["prompts/big.txt: it is larger than 2 MB"],
      names,
    }),
    occurrencesProgress: () => ({ share: 0.4, text: "prompts/letters.prompt.md" }),
    reveal: (range) => {
      revealed.push(range);
      return null;
    },
  };
  return { handlers, revealed, causallyAsked };
}

/** The same SAE by the paper's rule: a word that is absorbed, one in part, one that is not. */
function causalReport(text) {
  const latent = (number, score, cosine, activation) => ({
    latent: number,
    score,
    cosine,
    activation,
  });
  const judged = (name, top, change) => ({
    word: name,
    prompt: `\n${text} has the first letter: F\n${name} has the first letter:`,
    sparseScore: -1.25,
    value: 11.31,
    verdict: "none",
    mainActivation: 0,
    mainScore: 0,
    top,
    secondScore: -0.1,
    margin: -top.score - 0.1,
    isSilent: true,
    lowers: true,
    standsOut: true,
    isAligned: true,
    mainCounts: false,
    topEffect: top.score - 0.4,
    strongest: [top, latent(4, -0.1, -0.02, 12.5), latent(77, 0.05, 0.01, 20)],
    byProjection: { isFull: true, isPartial: false, fraction: 0.8, absorber: 5982 },
    ...change,
  });
  const words = [
    judged("firm", latent(3260, -0.4, 0.3, 90), {
      standsOut: false,
      byProjection: { isFull: false, isPartial: false, fraction: 0, absorber: null },
    }),
    judged("for", latent(5982, -4.725, 0.418, 143.6), { verdict: "absorbed" }),
    judged("few", latent(2950, -1.4, 0.31, 99), {
      verdict: "partial",
      mainActivation: 55.1,
      mainScore: -0.62,
      isSilent: false,
      mainCounts: true,
    }),
  ];
  const effect = (kind, mean, spread, count) => ({
    kind,
    words: count,
    mean,
    low: mean - spread,
    high: mean + spread,
  });
  const effects = [
    effect("main", -1.973, 0.1, 443),
    effect("main-weak", -1.008, 0.33, 10),
    effect("absorber-causal", -2.004, 0.45, 11),
    effect("absorber-projection", -0.395, 0.18, 96),
    effect("other-active", -0.083, 0.1, 47),
    effect("random", 0.031, 0.13, 97),
  ];
  return {
    rule: "paper",
    metric: "logit of the right answer less the mean logit of the other labels' answers",
    thresholds: {
      mainSilent: 1e-8,
      margin: 1,
      cosine: 0.025,
      steps: 6,
      partialMainCosine: 0.025,
      partialMainEffect: 0.1,
      wordsPerLabel: 50,
    },
    mean: {
      labels: 2,
      absorptionRate: 0.017,
      partialRate: 0.008,
      standardDeviation: { absorptionRate: 0.01, partialRate: 0.01 },
    },
    effects,
    agreement: { words: 56, correlation: 0.869 },
    labels: [
      {
        label: "f",
        answer: " F",
        main: [{ latent: 1527, cosine: 0.41 }],
        truePositives: 75,
        falseNegatives: 5,
        silent: 4,
        silentJudged: 2,
        weak: 1,
        weakJudged: 1,
        absorbed: 1,
        partial: 1,
        absorptionRate: 0.027,
        partialRate: 0.013,
        absorbers: [
          { latent: 5982, cosine: 0.418, meanScore: -4.7, words: ["for"] },
          { latent: 2950, cosine: 0.31, meanScore: -1.4, words: ["few"] },
        ],
        effects: effects.slice(0, 3),
        words,
      },
    ],
    problems: ["not judged, because no latents know the label: q"],
  };
}

/** Places of a word that was absorbed and of one that was not, or of a latent. */
function places(text, { kind }) {
  const place = (line, word, verdict) => ({
    uri: "file:///demo/prompts/absorbed.prompt.md",
    name: "prompts/absorbed.prompt.md",
    line,
    startOffset: 100 * line,
    endOffset: 100 * line + word.length,
    text: word,
    before: `${text} `,
    after: " has the first letter:",
    ...(kind === "latent" ? { act: 181.2 } : {}),
    verdict: {
      token: 8,
      task: "first-letter",
      setting: "prompts",
      label: "f",
      probability: 0.79,
      probeF1: 0.987,
      projection: 72,
      mainProjection: 0,
      fraction: 0.9,
      main: [{ latent: 1527, activation: 0, preActivation: 20.5, threshold: 52.7 }],
      strongest: [share(5982, 60.1, 0.33)],
      ...verdict,
    },
  });
  const firing = { main: [{ latent: 1527, activation: 158 }], mainProjection: 65 };
  return [
    place(43, " for", { verdict: "absorbed" }),
    place(51, " found", { verdict: "fires", ...firing, strongest: [share(1527, 65, 0.41)] }),
  ];
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
