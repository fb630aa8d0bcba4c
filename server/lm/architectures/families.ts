import type { Family } from "./architecture.ts";
import { gemma2 } from "./gemma2.ts";
import { gemma3 } from "./gemma3.ts";
import { gptNeo } from "./gpt-neo.ts";
import { gptNeox } from "./gpt-neox.ts";
import { gpt2 } from "./gpt2.ts";
import { llama } from "./llama.ts";
import { mistral } from "./mistral.ts";
import { olmo2 } from "./olmo2.ts";
import { qwen2 } from "./qwen2.ts";
import { qwen3 } from "./qwen3.ts";

/** All families that can be loaded. */
export const families: readonly Family[] = [
  gemma2,
  gemma3,
  gpt2,
  gptNeo,
  gptNeox,
  llama,
  mistral,
  olmo2,
  qwen2,
  qwen3,
];
