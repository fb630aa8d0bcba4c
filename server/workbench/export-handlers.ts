/** Answers of the table `ExportMethods`: latents as a file for people without the editor. */
import type { ExportMethods } from "../protocol/export.ts";
import type { Handlers } from "../protocol/rpc.ts";
import { contextsOf, dashboard } from "./explorer-dashboard.ts";
import { findSae } from "./explorer-handlers.ts";
import { checkLatent } from "./explorer-search.ts";
import { type ExportedLatent, latentsHtml } from "./latents-html.ts";
import type { Workbench } from "./workbench.ts";

/** The handlers over a workbench. */
export function exportHandlers(workbench: Workbench): Handlers<ExportMethods> {
  return {
    latentsAsHtml: async ({ sae: id, latents }, signal) => {
      const { set, sae } = await findSae(workbench, id);
      const { index } = workbench.indexes.of(sae);
      const exported: ExportedLatent[] = [];
      for (const latent of latents) {
        checkLatent(sae, latent);
        const point = { workbench, set, sae, latent, index };
        const contexts = contextsOf(point);
        exported.push({ dashboard: await dashboard(point, signal), contexts });
      }
      const { hook, d_sae } = sae;
      const corpus = index?.manifest.corpus;
      const source = { lm: set.lm.id, sae: id, hook, d_sae, ...(corpus ? { corpus } : {}) };
      return { html: latentsHtml(source, exported) };
    },
  };
}
