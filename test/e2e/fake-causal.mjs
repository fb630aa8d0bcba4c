// What the paper's rule says of an SAE that never was.

/** The same SAE by the paper's rule: a word that is absorbed, one in part, one that is not. */
export function causalReport(text) {
  const words = [
    judged(text, "firm", latent(3260, -0.4, 0.3, 90), {
      standsOut: false,
      byProjection: { isFull: false, isPartial: false, fraction: 0, absorber: null },
    }),
    judged(text, "for", latent(5982, -4.725, 0.418, 143.6), { verdict: "absorbed" }),
    judged(text, "few", latent(2950, -1.4, 0.31, 99), {
      verdict: "partial",
      mainActivation: 55.1,
      mainScore: -0.62,
      isSilent: false,
      mainCounts: true,
    }),
  ];
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

function latent(number, score, cosine, activation) {
  return {
    latent: number,
    score,
    cosine,
    activation,
  };
}

function judged(text, name, top, change) {
  return {
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
  };
}

function effect(kind, mean, spread, count) {
  return {
    kind,
    words: count,
    mean,
    low: mean - spread,
    high: mean + spread,
  };
}
