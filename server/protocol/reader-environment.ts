/**
 * Environment variables with which a process that opens a device is started; they act before its first line.
 */

/**
 * TF32: ONNX Runtime's CUDA provider rounds float32 products to 10 bits unless told otherwise, and the Node binding
 * cannot tell it.
 *
 * glibc: with its defaults, f16 weights that are widened at load leave holes which are never given back (16 sessions
 * of SmolLM2's shapes: 675 MB resident for 453 MB of weights, and still 675 after release); what gets pages of its own
 * goes back, but attention's scores then cost a page fault for every 4 kB of every run. From 16 MiB on, large models'
 * weights have pages of their own, and a run's scores (`maxRunRows` of lm) stay below. SmolLM2 to layer 9 with 9,216
 * latents, against a limit of 1 MiB: 1,842 tokens in 2,850 instead of 4,000 cpu-ms, 915 in 1,240 instead of 1,540, 154
 * in the same 150; for 50 MB more after loading and 170 MB more after the long text.
 */
export const readerEnvironment: Readonly<Record<string, string>> = {
  NVIDIA_TF32_OVERRIDE: "0",
  GLIBC_TUNABLES:
    "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=16777216:glibc.malloc.trim_threshold=33554432",
};
