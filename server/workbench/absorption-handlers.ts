/** Answers about absorption: which labelled tasks there are, and making one ready for hovers. */
import { basename, join } from "node:path";
import { UserError } from "../base/errors.ts";
import { exists, isFolder, listFolder } from "../files/disk.ts";
import type {
  AbsorptionMethods,
  AbsorptionReport,
  MeasuredAbsorption,
  PreparedAbsorption,
} from "../protocol/absorption.ts";
import type { SaeInfo } from "../protocol/reader.ts";
import type { Handlers } from "../protocol/rpc.ts";
import { OpenDocument } from "./documents.ts";
import { labelOf } from "./labels.ts";
import { modelsInUse } from "./models-in-use.ts";
import { noteMeasured } from "./occurrence-handlers.ts";
import type { PageSurroundings } from "./pages.ts";
import type { Workbench } from "./workbench.ts";

/** How often the reader is asked how far it is. */
const askMs = 300;

const builtIn = [
  {
    name: "first-letter",
    labels: "first-letter",
    detail: "words of the vocabulary by first letter, “{word} has the first letter:” (SAEBench)",
  },
  {
    name: "first-letter, short prompts",
    labels: "first-letter:paper",
    detail: "words of the vocabulary by first letter, “{word}:” (Chanin et al. 2024)",
  },
] as const;

/** The handlers of the table. */
export function absorptionHandlers(
  workbench: Workbench,
  surroundings: PageSurroundings,
): Handlers<AbsorptionMethods> {
  const tasks = () => taskChoices(workbench);
  return {
    absorptionTasks: () => ({ tasks: tasks() }),
    absorptionChoices: async ({ uri }) => {
      const { lm, saes } = await modelsInUse(workbench, uri);
      const described = saes.map(({ id, d_sae, hook }) => ({
        id,
        detail: `${d_sae} latents at ${hook}`,
      }));
      return { lm: lm.id, saes: described, tasks: tasks() };
    },
    absorptionProgress: () => workbench.reader.call("absorptionProgress", {}),
    measureAbsorption: (params, signal) => {
      checkTrusted(workbench, params);
      return measure(workbench, params, signal);
    },
    causalAbsorption: (params, signal) => {
      checkTrusted(workbench, params);
      return causal(workbench, params, signal);
    },
    prepareAbsorption: (params, signal) => {
      checkTrusted(workbench, params);
      return surroundings.withProgress("Absorption probe", signal, (report, cancelled) =>
        prepare(workbench, params, { report, signal: cancelled }),
      );
    },
  };
}

/** Tasks of the workspace, and those that are built in. */
export function taskChoices(
  workbench: Workbench,
): { name: string; labels: string; detail: string }[] {
  return [...workspaceTasks(workbench), ...builtIn];
}

/** Refuses files as tasks and texts where the workspace is not trusted. */
export function checkTrusted(
  { options }: Workbench,
  { labels, texts }: { readonly labels: string; readonly texts?: readonly string[] },
): void {
  const isBuiltIn = builtIn.some((it) => it.labels === labels);
  if (options.trusted || (isBuiltIn && texts === undefined)) return;
  throw new UserError(
    "not-trusted",
    "files of a workspace that you do not trust are not read as tasks; trust it first",
  );
}

/** One SAE for the page. */
async function measure(
  workbench: Workbench,
  { uri, sae: id, ...choice }: Parameters<AbsorptionMethods["measureAbsorption"]>[0],
  signal: AbortSignal,
): Promise<MeasuredAbsorption> {
  const { lm, sae } = await saeInUse(workbench, uri, id);
  const params = { lm: lm.id, sae: id, ...choice };
  const prepared = await workbench.reader.call("prepareAbsorption", params, signal);
  const { report, row, corpus } = prepared;
  noteMeasured(workbench, prepared, choice);
  workbench.readAgain();
  return { report, row, corpus, names: namesIn(report, workbench, sae) };
}

/** One SAE by the paper's rule, for the page. */
async function causal(
  workbench: Workbench,
  { uri, sae: id, labels, words }: Parameters<AbsorptionMethods["causalAbsorption"]>[0],
  signal: AbortSignal,
): Promise<ReturnType<AbsorptionMethods["causalAbsorption"]>> {
  const { lm, sae } = await saeInUse(workbench, uri, id);
  const params = { lm: lm.id, sae: id, labels, words };
  const { report } = await workbench.reader.call("causalAbsorption", params, signal);
  const named = report.labels.flatMap(({ main, absorbers, words: judged }) => [
    ...main,
    ...absorbers,
    ...judged.flatMap(({ strongest }) => strongest),
  ]);
  return { report, names: namesOf(named, workbench, sae) };
}

async function saeInUse(
  workbench: Workbench,
  uri: string | undefined,
  id: string,
): Promise<{ lm: { readonly id: string }; sae: SaeInfo }> {
  const { lm, saes } = await modelsInUse(workbench, uri);
  const sae = saes.find((it) => it.id === id);
  if (!sae)
    throw new UserError("sae-not-in-use", `${id} is not in use any more; choose another SAE`);
  return { lm, sae };
}

/** Labels of the latents that a report names. */
function namesIn(
  { labels }: AbsorptionReport,
  workbench: Workbench,
  sae: SaeInfo,
): Record<string, string> {
  const named = labels.flatMap(({ main, absorbers, words }) => [
    ...main,
    ...absorbers,
    ...words.flatMap(({ strongest }) => strongest),
  ]);
  return namesOf(named, workbench, sae);
}

function namesOf(
  named: readonly { readonly latent: number }[],
  { latentsFile }: Workbench,
  sae: SaeInfo,
): Record<string, string> {
  const names: Record<string, string> = {};
  for (const { latent } of named) {
    const name = labelOf(latentsFile, sae, latent);
    if (name !== undefined) names[String(latent)] = name;
  }
  return names;
}

/** Task files in the `labels` folders of the workspace. */
function workspaceTasks({
  options,
}: Workbench): { name: string; labels: string; detail: string }[] {
  if (!options.trusted) return [];
  return options.workspaceFolders
    .map((folder) => join(folder, "labels"))
    .filter((folder) => exists(folder) && isFolder(folder))
    .flatMap((folder) =>
      listFolder(folder)
        .filter((name) => /\.jsonc?$/.test(name))
        .map((name) => ({
          name: basename(name).replace(/\.jsonc?$/, ""),
          labels: join(folder, name),
          detail: join("labels", name),
        })),
    );
}

async function prepare(
  workbench: Workbench,
  { uri, ...choice }: Parameters<AbsorptionMethods["prepareAbsorption"]>[0],
  { report, signal }: { report: (text: string, share?: number) => void; signal: AbortSignal },
): Promise<{ prepared: PreparedAbsorption[] }> {
  const document = (uri === undefined ? undefined : workbench.documents.get(uri)) ?? nowhere();
  const { lm, saes } = await workbench.modelsOf(document);
  const prepared: PreparedAbsorption[] = [];
  for (const [at, sae] of saes.entries()) {
    const timer = setInterval(() => {
      void workbench.reader.call("absorptionProgress", {}).then(
        ({ text, share }) => report(text, (at + share) / saes.length),
        () => undefined,
      );
    }, askMs);
    try {
      const params = { lm: lm.id, sae: sae.id, ...choice };
      const done = await workbench.reader.call("prepareAbsorption", params, signal);
      noteMeasured(workbench, done, choice);
      prepared.push(done);
    } finally {
      clearInterval(timer);
    }
  }
  workbench.readAgain();
  return { prepared };
}

/** A document without front matter: what is used where nothing else is said. */
function nowhere(): OpenDocument {
  return new OpenDocument("");
}
