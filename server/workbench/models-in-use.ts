import { OpenDocument } from "./documents.ts";
import type { ModelSet } from "./models.ts";
import type { Workbench } from "./workbench.ts";

/** The models of a document, or of what is used where nothing else is said. */
export function modelsInUse(workbench: Workbench, uri: string | undefined): Promise<ModelSet> {
  const known = uri === undefined ? undefined : workbench.documents.get(uri);
  return workbench.models.load(workbench.choiceFor(known ?? new OpenDocument("")));
}
