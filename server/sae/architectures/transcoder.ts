import type { Architecture } from "./architecture.ts";
import { jumprelu } from "./jumprelu.ts";
import { standard } from "./standard.ts";
import { topk } from "./topk.ts";

/** What an SAE that predicts another hook point answers: its output has a scale of its own. */
const predicts = { restoresNorm: false, addsBDec: () => true } as const;

/** ReLU latents that predict another hook point, e.g. an MLP's output. Dunefsky et al. 2024, arXiv:2406.11944. */
export const transcoder: Architecture = { ...standard, ...predicts, name: "transcoder" };

/** JumpReLU latents that predict another hook point. sae-lens@6.54 transcoder.py. */
export const jumpreluTranscoder: Architecture = {
  ...jumprelu,
  ...predicts,
  name: "jumprelu_transcoder",
};

/** A linear path from x to the output beside the latents. Paulo et al. 2025, arXiv:2501.18823. */
export const skipTranscoder: Architecture = withSkip(transcoder, "skip_transcoder");

/** JumpReLU latents with a linear path beside them. sae-lens@6.54 transcoder.py. */
export const jumpreluSkipTranscoder: Architecture = withSkip(
  jumpreluTranscoder,
  "jumprelu_skip_transcoder",
);

/** TopK latents with a linear path beside them. eai-sparsify@1.3 sparse_coder.py. */
export const topkSkipTranscoder: Architecture = withSkip(
  { ...topk, ...predicts },
  "topk_skip_transcoder",
);

/** Adds x·W_skipᵀ with `W_skip [d_out, d_in]`; x as it was given, before normalisation. */
function withSkip(base: Architecture, name: string): Architecture {
  return {
    ...base,
    name,
    parameters: (config) => ({
      ...base.parameters(config),
      W_skip: [config.d_out, config.d_in],
    }),
    skip: ({ raw, weights }) => weights.linear(raw, "W_skip", { flip: true }),
  };
}
