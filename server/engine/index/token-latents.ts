/**
 * For each vocabulary entry the latents that stand for it best: those whose activations over the corpus, as a vector, have
 * the largest cosine with the vector that is 1 on the token's places and 0 elsewhere. Σ_token |a| / (‖a‖ √count): 1 for a
 * latent that fires on all of its places, equally, and nowhere else. Mean activations would name the same few dense
 * latents for every token.
 */
export class TokenLatents {
  readonly k: number;
  /** `[d_vocab, k]`, best first; −1 behind the last. */
  readonly latents: Int32Array<ArrayBuffer>;
  readonly scores: Float32Array<ArrayBuffer>;

  constructor(d_vocab: number, k: number) {
    this.k = k;
    this.latents = new Int32Array(d_vocab * k).fill(-1);
    this.scores = new Float32Array(d_vocab * k);
  }

  /** Notes a latent's score for a token; latents come in ascending order, and of equal scores the first stays. */
  note(id: number, latent: number, score: number): void {
    const first = id * this.k;
    let at = first + this.k - 1;
    if (this.latents[at]! >= 0 && this.scores[at]! >= score) return;
    for (; at > first && (this.latents[at - 1]! < 0 || this.scores[at - 1]! < score); at--) {
      this.latents[at] = this.latents[at - 1]!;
      this.scores[at] = this.scores[at - 1]!;
    }
    this.latents[at] = latent;
    this.scores[at] = score;
  }
}
