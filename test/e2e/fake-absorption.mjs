// Answers about absorption of a language server that never was.
import { causalReport } from "./fake-causal.mjs";

/** An SAE with a label that is absorbed in part, one that is not, and one without latents. */
export function fakeAbsorption({
  label = "for (preposition)",
  slow = false,
  start = {},
  slowCausal = false,
} = {}) {
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
    measureAbsorption: () => (slow ? new Promise(() => {}) : measured),
    causalAbsorption: (asked) => {
      causallyAsked.push(asked);
      return slowCausal ? new Promise(() => {}) : { report: causalReport(label), names };
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
