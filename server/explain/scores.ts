import type { TestScore } from "../protocol/explain.ts";

/**
 * How well predictions fit the truth. `accuracy` is the share that is right (SAEBench `score_predictions`), `balanced` the
 * mean of the shares among positives and among negatives (what delphi's `result_analysis.py` calls accuracy). An undefined
 * prediction could not be read and does not count.
 */
export function testScore(
  predictions: readonly (boolean | undefined)[],
  truth: readonly boolean[],
): TestScore | undefined {
  const read = truth.flatMap((has, at) => {
    const says = predictions[at];
    return says === undefined ? [] : [{ says, has }];
  });
  if (read.length === 0) return undefined;
  const shareRight = (list: typeof read): number =>
    list.length === 0 ? 0 : list.filter(({ says, has }) => says === has).length / list.length;
  const positives = read.filter(({ has }) => has);
  const negatives = read.filter(({ has }) => !has);
  return {
    accuracy: shareRight(read),
    balanced: (shareRight(positives) + shareRight(negatives)) / 2,
    none: negatives.length / read.length,
    examples: read.length,
    unread: truth.length - read.length,
  };
}
