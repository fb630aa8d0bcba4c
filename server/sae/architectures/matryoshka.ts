import type { Architecture } from "./architecture.ts";
import { jumprelu } from "./jumprelu.ts";

/**
 * Matryoshka BatchTopK at inference: one scalar threshold; the nested groups are in `SaeConfig.groups`.
 * Bussmann et al. 2025, arXiv:2503.17547; dictionary_learning@0.1.0 trainers/matryoshka_batch_top_k.py.
 */
export const matryoshka: Architecture = { ...jumprelu, name: "matryoshka" };
