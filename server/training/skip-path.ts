/** A transcoder's linear path beside the latents, x·W_skipᵀ. Paulo et al. 2025, arXiv:2501.18823. */
import { Graph } from "../graph/graph.ts";
import { gemm } from "../graph/ops/index.ts";
import type { Device, Session } from "../runtime/device.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import type { CommonConfig } from "./common-config.ts";
import type { Parameters } from "./parameters.ts";

/** The path's forward and backward sessions. */
export class SkipPath {
  readonly #parameters: Parameters;
  readonly #forward: Session;
  readonly #backward: Session;

  private constructor(parameters: Parameters, forward: Session, backward: Session) {
    this.#parameters = parameters;
    this.#forward = forward;
    this.#backward = backward;
  }

  /** Loads both graphs. */
  static async open(
    { d_in, d_out }: CommonConfig,
    parameters: Parameters,
    device: Device,
  ): Promise<SkipPath> {
    const width = d_out ?? d_in;
    const forward = new Graph("path beside the latents");
    const W_skip = forward.input("W_skip", "float32", [width, d_in]);
    const x = forward.input("x", "float32", ["batch", d_in]);
    forward.output("y", gemm(x, W_skip, undefined, { transB: true }));
    const backward = new Graph("path beside the latents, backward");
    const inputs = backward.input("x", "float32", ["batch", d_in]);
    const dy = backward.input("dy", "float32", ["batch", width]);
    backward.output("dW_skip", gemm(dy, inputs, undefined, { transA: true }));
    const load = (graph: Graph) => device.load(graph, { label: graph.name });
    return new SkipPath(parameters, await load(forward), await load(backward));
  }

  /** `[batch, d_in] -> [batch, d_out]` */
  async forward(x: Tensor<"float32">, signal?: AbortSignal): Promise<Float32Array> {
    const feeds = { x, W_skip: this.#parameters.feed("W_skip") };
    const { y } = await this.#forward.run(feeds, ["y"], signal);
    return y!.data as Float32Array;
  }

  /** Adds to W_skip's gradient, from that of the output. */
  async gradient(x: Tensor<"float32">, dy: Float32Array, signal?: AbortSignal): Promise<void> {
    const rows = x.dims[0]!;
    const feeds = { x, dy: tensor("float32", [rows, dy.length / rows], dy) };
    const { dW_skip } = await this.#backward.run(feeds, ["dW_skip"], signal);
    this.#parameters.get("W_skip").grad.set(dW_skip!.data as Float32Array);
  }

  async release(): Promise<void> {
    await this.#forward.release();
    await this.#backward.release();
  }
}
