/** Latents as a page that stands by itself, for people without the editor. */
export interface ExportMethods {
  /** One HTML file about some latents of an SAE: everything in it, no scripts, nothing asked of other places. */
  latentsAsHtml(params: { sae: string; latents: number[] }): { html: string };
}
