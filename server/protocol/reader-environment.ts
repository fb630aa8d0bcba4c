/**
 * Environment variables with which a process that opens a device is started; they act before its first line.
 */

/**
 * TF32: ONNX Runtime's CUDA provider rounds float32 products to 10 bits unless told otherwise, and the Node binding
 * cannot tell it.
 *
 * glibc: with its defaults, f16 weights that are widened at load leave holes which are never given back (16 sessions
 * of SmolLM2's shapes: 675 MB resident for 453 MB of weights, and still 675 after release). From 1 MiB on, every
 * block gets pages of its own: 459 MB, and 6 after release. Huge pages make up for the page faults: ten blocks take
 * 92 cpu-ms for 128 tokens either way, 486 instead of 426 for 512, 1,082 instead of 1,191 for 1,000.
 */
export const readerEnvironment: Readonly<Record<string, string>> = {
  NVIDIA_TF32_OVERRIDE: "0",
  GLIBC_TUNABLES: "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1048576",
};
