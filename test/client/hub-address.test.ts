import { expect, test } from "vitest";
import { parseHubAddress } from "../../client/hub-address.ts";

test.each([
  ["HuggingFaceTB/SmolLM2-135M", { repo: "HuggingFaceTB/SmolLM2-135M" }],
  [" google/gemma-scope-2b@main ", { repo: "google/gemma-scope-2b", revision: "main" }],
  [
    "google/gemma-scope-2b:layer_12/width_16k",
    { repo: "google/gemma-scope-2b", files: ["layer_12/width_16k"] },
  ],
  ["a/b@refs/pr/3:x.npz", { repo: "a/b", revision: "refs/pr/3", files: ["x.npz"] }],
  ["gpt2", undefined],
  ["https://huggingface.co/a/b", undefined],
  ["a/b:../../secrets", undefined],
  ["", undefined],
])("address %s", (text, expected) => {
  expect(parseHubAddress(text)).toEqual(expected);
});
