/** All architectures by name. */
import { assert } from "../../base/errors.ts";
import { abstopk } from "./abstopk.ts";
import type { Architecture } from "./architecture.ts";
import { batchtopk } from "./batchtopk.ts";
import { gated } from "./gated.ts";
import { jumprelu } from "./jumprelu.ts";
import { matchingPursuit } from "./matching-pursuit.ts";
import { matryoshka } from "./matryoshka.ts";
import { standard } from "./standard.ts";
import { temporal } from "./temporal.ts";
import { topk } from "./topk.ts";
import {
  jumpreluSkipTranscoder,
  jumpreluTranscoder,
  skipTranscoder,
  topkSkipTranscoder,
  transcoder,
} from "./transcoder.ts";

const all: readonly Architecture[] = [
  standard,
  topk,
  abstopk,
  batchtopk,
  jumprelu,
  gated,
  matryoshka,
  transcoder,
  skipTranscoder,
  jumpreluTranscoder,
  jumpreluSkipTranscoder,
  topkSkipTranscoder,
  matchingPursuit,
  temporal,
];

/** Architectures by the name that `SaeConfig.architecture` holds. */
export const architectures: ReadonlyMap<string, Architecture> = new Map(
  all.map((architecture) => [architecture.name, architecture]),
);

/** The architecture of a config; formats only make configs of known ones. */
export function architectureOf({ architecture }: { architecture: string }): Architecture {
  const found = architectures.get(architecture);
  assert(found !== undefined, `no architecture ${architecture}`);
  return found;
}
