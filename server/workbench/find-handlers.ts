/** Answers about latents that tell examples apart, by the table `FindMethods`. */
import { basename } from "node:path";
import { UserError } from "../base/errors.ts";
import { readText } from "../files/disk.ts";
import type { ContextSource } from "../protocol/context.ts";
import type { FindExample, FindMethods, FindSelection, FindSet } from "../protocol/find.ts";
import type { Handlers } from "../protocol/rpc.ts";
import { readContexts } from "../text/contexts.ts";
import { findSae } from "./explorer-handlers.ts";
import { foundBy, keepFound } from "./found.ts";
import type { PageSurroundings } from "./pages.ts";
import { contextRange } from "./positions.ts";
import { untrustedWorkspace } from "./runs-errors.ts";
import type { Workbench } from "./workbench.ts";

/** Latents that are listed at most. */
const most = 100;

/** The handlers over a workbench. */
export function findHandlers(
  workbench: Workbench,
  surroundings: PageSurroundings,
): Handlers<FindMethods> {
  return {
    findByExamples: ({ sae: id, positive, negative, pool }, signal) =>
      surroundings.withProgress("Finding latents", signal, async (report, cancelled) => {
        const { set, sae } = await findSae(workbench, id);
        const gathered = new Gathered(workbench);
        const outside = gathered.add(positive, true) + gathered.add(negative, false);
        const { contexts, examples } = gathered;
        const asked = { lm: set.lm.id, sae: sae.id, contexts, examples, pool, seed: 0, most };
        const found = await workbench.reader.callWithProgress(
          "findLatents",
          asked,
          report,
          cancelled,
        );
        const note = `${outside} selections lie outside of what the model reads and are left out`;
        const notes = outside > 0 ? [...found.notes, note] : found.notes;
        return { search: keepFound(workbench, { ...found, notes }) };
      }),
    foundLatents: ({ search }) => foundBy(workbench, search),
  };
}

/** Examples with the contexts that they stand in, each context once. */
class Gathered {
  readonly contexts: ContextSource[] = [];
  readonly examples: FindExample[] = [];
  readonly #workbench: Workbench;
  readonly #places = new Map<ContextSource, number>();

  constructor(workbench: Workbench) {
    this.#workbench = workbench;
  }

  /** Adds a set; returns how many of its selections lie in no context. */
  add(set: FindSet, positive: boolean): number {
    if ("selections" in set)
      return set.selections.filter((it) => !this.#addSelection(it, positive)).length;
    // A file that nobody opened is named by the user, but not in a workspace that may name what it likes.
    if (!this.#workbench.options.trusted) throw untrustedWorkspace();
    const name = basename(set.file);
    const { contexts } = readContexts({ name, text: readText(set.file), rule: "lines" });
    if (contexts.length === 0)
      throw new UserError(
        "no-examples",
        `${set.file} holds no text: each line of it is an example`,
      );
    for (const context of contexts)
      this.examples.push({ context: this.#placeOf(context), positive });
    return 0;
  }

  #addSelection({ uri, startOffset, endOffset }: FindSelection, positive: boolean): boolean {
    const { contexts } = this.#workbench.document(uri);
    const found = contexts.find(({ source }) => {
      const range = contextRange(source);
      return range.startOffset < endOffset && startOffset < range.endOffset;
    });
    if (!found) return false;
    const context = this.#placeOf(found.source);
    this.examples.push({ context, positive, startOffset, endOffset });
    return true;
  }

  #placeOf(source: ContextSource): number {
    const known = this.#places.get(source) ?? this.contexts.push(source) - 1;
    this.#places.set(source, known);
    return known;
  }
}
