/** A JumpReLU SAE's step by lists of the latents above their thresholds or near them; what `jumprelu.ts` says as a graph. */
import { unreachable } from "../../base/errors.ts";
import {
  type ActiveLists,
  forActiveRows,
  type ListedBackward,
  type ListedRecipe,
} from "../listed-recipe.ts";
import type { JumpreluConfig } from "./jumprelu.ts";

const round = Math.fround;

/** Behind each row's active latents lie those within half a bandwidth below their thresholds. */
export function jumpreluLists(config: JumpreluConfig): ListedRecipe {
  const { l0Of, steToInput, preActCoefficient } = config;
  const bandwidth = round(config.bandwidth);
  return {
    nearTrains: steToInput,
    applies({ dead }, parameters) {
      // What is paid for dead latents, and what l0Of "acts" makes of the silent ones, concerns every row.
      if (preActCoefficient !== null && dead.before().includes(1)) return false;
      if (l0Of === "preActs") return true;
      return !steToInput && parameters.get("threshold").value.every((it) => it >= 0);
    },
    bounds(parameters) {
      const threshold = parameters.get("threshold").value;
      const b_enc = parameters.get("b_enc").value;
      return threshold.map((it, latent) => {
        const bias = b_enc[latent]!;
        // Rounding may move a pre-activation and the edge of the window.
        const slack = 1e-5 * (Math.abs(it) + Math.abs(bias) + bandwidth);
        return it - bandwidth / 2 - bias - slack;
      });
    },
    activate(lists, parameters) {
      const near = isNear(bandwidth);
      arrange(lists, {
        b_enc: parameters.get("b_enc").value,
        threshold: parameters.get("threshold").value,
        near,
      });
    },
    backward: (step) => backward(config, step),
  };
}

/** Whether a pre-activation lies within half a bandwidth of its threshold, as the graph rounds it. */
function isNear(bandwidth: number): (preAct: number, threshold: number) => boolean {
  return (preAct, threshold) => {
    const distance = round(round(preAct - threshold) / bandwidth);
    return distance > -0.5 && distance < 0.5;
  };
}

/** Products become pre-activations; in each row active entries come first, then those that are near. */
function arrange(
  { rows, offsets, ends, columns, products, values }: ActiveLists,
  {
    b_enc,
    threshold,
    near,
  }: {
    b_enc: Float32Array;
    threshold: Float32Array;
    near: (preAct: number, threshold: number) => boolean;
  },
): void {
  const waiting = {
    columns: new Int32Array(b_enc.length),
    preActs: new Float32Array(b_enc.length),
  };
  let to = 0;
  let begin = 0;
  for (let row = 0; row < rows; row++) {
    const end = offsets[row + 1]!;
    let count = 0;
    for (let entry = begin; entry < end; entry++) {
      const latent = columns[entry]!;
      const preAct = round(products[entry]! + b_enc[latent]!);
      if (preAct > threshold[latent]!) {
        columns[to] = latent;
        products[to] = preAct;
        values[to++] = preAct;
      } else if (near(preAct, threshold[latent]!)) {
        waiting.columns[count] = latent;
        waiting.preActs[count++] = preAct;
      }
    }
    ends[row] = to;
    for (let at = 0; at < count; at++) {
      columns[to] = waiting.columns[at]!;
      products[to] = waiting.preActs[at]!;
      values[to++] = 0;
    }
    offsets[row + 1] = to;
    begin = end;
  }
}

function backward(config: JumpreluConfig, step: ListedBackward) {
  const { lists, slopes, parameters, scalars } = step;
  const { rows, offsets, ends, columns, products } = lists;
  const { l0Of, steToInput } = config;
  const bandwidth = round(config.bandwidth);
  const near = isNear(bandwidth);
  const { loss, byL0 } = sparsityLoss(config, step);
  const threshold = parameters.get("threshold").value;
  const sums = new Float64Array(threshold.length);
  const countsSilent = l0Of === "acts" ? threshold.map((it) => (near(0, it) ? 1 : 0)) : undefined;
  let byAllL0 = 0;
  for (let row = 0; row < rows; row++) {
    const byCount = byL0[row]! / bandwidth;
    byAllL0 += byCount;
    for (let entry = offsets[row]!; entry < offsets[row + 1]!; entry++) {
      const latent = columns[entry]!;
      const isActive = entry < ends[row]!;
      const isInWindow = near(products[entry]!, threshold[latent]!);
      // What a threshold would lose of the activation, and of the count, by moving up.
      const jump = isInWindow ? (threshold[latent]! / bandwidth) * slopes[entry]! : 0;
      const isCounted = isInWindow && (isActive || countsSilent === undefined);
      const estimate = jump + (isCounted ? byCount : 0);
      sums[latent]! -= estimate;
      // As an activation, a silent latent is 0 wherever its pre-activation lies; where it is active, it is not that.
      if (isActive && countsSilent?.[latent]) sums[latent]! += byCount;
      slopes[entry] = (isActive ? slopes[entry]! : 0) + (steToInput ? estimate : 0);
    }
  }
  const { grad } = parameters.get("threshold");
  sums.forEach((sum, latent) => (grad[latent] = sum - (countsSilent?.[latent] ? byAllL0 : 0)));
  const noDead = config.preActCoefficient === null ? {} : { pre_act_loss: 0 };
  return { parts: { l0_loss: scalars["l0"]! * loss, ...noDead } };
}

/** The penalty without its coefficient; its gradient by each row's count, and by activations added to their slopes. */
function sparsityLoss(
  { sparsity }: JumpreluConfig,
  { lists, slopes, norms, scalars }: ListedBackward,
): { loss: number; byL0: Float64Array } {
  const { rows, offsets, columns, values } = lists;
  const byL0 = new Float64Array(rows);
  const each = scalars["l0"]! / rows;
  let sum = 0;
  let mean = 0;
  switch (sparsity.kind) {
    case "step":
      forActiveRows(lists, (begin, end) => (sum += end - begin));
      return { loss: sum / rows, byL0: byL0.fill(each) };
    case "tanh":
      // Silent latents pay nothing, but would with the steepest slope.
      for (let entry = 0; entry < offsets[rows]!; entry++) {
        const latent = columns[entry]!;
        const norm = norms.values[latent]!;
        const paid = Math.tanh(values[entry]! * sparsity.scale * norm);
        sum += paid;
        const slope = each * (1 - paid * paid) * sparsity.scale;
        slopes[entry]! += slope * norm;
        norms.slopes[latent]! += slope * values[entry]!;
      }
      return { loss: sum / rows, byL0 };
    case "quadratic":
      forActiveRows(lists, (begin, end, row) => {
        const excess = end - begin - sparsity.targetL0;
        sum += ((excess * excess) / rows) * (2 / sparsity.targetL0);
        byL0[row] = (each * 4 * excess) / sparsity.targetL0;
      });
      return { loss: sum, byL0 };
    case "target_ratio": {
      forActiveRows(lists, (begin, end) => (mean += (end - begin) / rows));
      const excess = mean / sparsity.targetL0 - 1;
      return { loss: excess * excess, byL0: byL0.fill((each * 2 * excess) / sparsity.targetL0) };
    }
    default:
      return unreachable(sparsity);
  }
}
