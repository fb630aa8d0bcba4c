import type { Architecture } from "./architecture.ts";
import { jumprelu } from "./jumprelu.ts";

/**
 * BatchTopK at inference: its learned scalar threshold on every latent, so that a token's latents do not depend on the
 * other tokens of a batch. Bussmann et al. 2024, arXiv:2412.06410; sae-lens@6.54 batchtopk_sae.py saves it as JumpReLU.
 */
export const batchtopk: Architecture = { ...jumprelu, name: "batchtopk" };
