/**
 * Labels that people write or import, in the folder `labels` of the workspace: one file for each SAE,
 * `labels/SAE.jsonl`, one JSON object a line, sorted by latent. So two branches that label different latents merge without
 * a conflict, and a diff shows what was said by whom:
 *
 * `{"latent":17,"label":"compass directions","author":"ada","date":"2025-01-31"}`
 *
 * Imported explanations keep their `id` and all that Neuronpedia's rows say (`neuronpedia`), so that they can go back.
 */
import { join } from "node:path";
import { UserError } from "../base/errors.ts";
import { exists, isFolder, listFolder, readText, writeFileAtomic } from "../files/disk.ts";

/** A line of the file. */
export interface StoredLabel {
  readonly latent: number;
  readonly label: string;
  readonly author?: string;
  /** Year, month and day. */
  readonly date?: string;
  /** Of an imported explanation. */
  readonly id?: string;
  /** The row it was imported from, without what stands here already. */
  readonly neuronpedia?: Readonly<Record<string, unknown>>;
}

const folderName = "labels";

/** The file of an SAE's labels; `/` and other signs of an id are written as in addresses. */
export function labelsPath(workspaceFolder: string, sae: string): string {
  return join(workspaceFolder, folderName, `${encodeURIComponent(sae)}.jsonl`);
}

/** Labels by SAE of all workspace folders; files that are none are told of and left out. */
export function readLabelFiles(folders: readonly string[]): {
  labels: Map<string, StoredLabel[]>;
  problems: string[];
} {
  const labels = new Map<string, StoredLabel[]>();
  const problems: string[] = [];
  for (const folder of folders.map((it) => join(it, folderName)).filter(isFolder)) {
    for (const name of listFolder(folder).filter((it) => it.endsWith(".jsonl"))) {
      try {
        const sae = decodeURIComponent(name.slice(0, -".jsonl".length));
        const found = readLabelFile(join(folder, name));
        labels.set(sae, [...(labels.get(sae) ?? []), ...found]);
      } catch (error) {
        if (!(error instanceof UserError) && !(error instanceof URIError)) throw error;
        problems.push(error.message);
      }
    }
  }
  return { labels, problems };
}

/** The labels of a file; none if there is no file. A line that is no label is an error: it would be lost when written. */
export function readLabelFile(path: string): StoredLabel[] {
  if (!exists(path)) return [];
  return readText(path)
    .split("\n")
    .flatMap((line, index) => {
      if (line.trim() === "") return [];
      const label = parseLine(line);
      if (label === undefined) throw badLabelLine(path, index + 1, line);
      return [label];
    });
}

/** Writes labels, sorted, one a line. */
export function writeLabelFile(path: string, labels: readonly StoredLabel[]): void {
  const order = (it: StoredLabel): string => it.id ?? it.author ?? "";
  const sorted = labels.toSorted(
    (a, b) => a.latent - b.latent || (order(a) < order(b) ? -1 : order(a) > order(b) ? 1 : 0),
  );
  const lines = sorted.map(({ latent, label, author, date, id, neuronpedia }) =>
    // Keys always in this order: a label that was not touched is the same line.
    JSON.stringify({ latent, label, author, date, id, neuronpedia }),
  );
  writeFileAtomic(path, lines.map((line) => `${line}\n`).join(""));
}

/** The label to show among several of a latent: one's own before imported ones, the newest first. */
export function preferred(labels: readonly StoredLabel[]): StoredLabel | undefined {
  return labels.toSorted(
    (a, b) =>
      Number(a.id !== undefined) - Number(b.id !== undefined) ||
      ((b.date ?? "") > (a.date ?? "") ? 1 : -1),
  )[0];
}

function parseLine(line: string): StoredLabel | undefined {
  let value: Partial<StoredLabel> | null;
  try {
    value = JSON.parse(line) as Partial<StoredLabel> | null;
  } catch {
    return undefined;
  }
  const isLabel =
    typeof value === "object" &&
    value !== null &&
    Number.isSafeInteger(value.latent) &&
    value.latent! >= 0 &&
    typeof value.label === "string";
  if (!isLabel || ![value?.author, value?.date, value?.id].every(isText)) return undefined;
  return value as StoredLabel;
}

function isText(value: unknown): boolean {
  return value === undefined || typeof value === "string";
}

function badLabelLine(path: string, line: number, text: string): UserError {
  const found = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  const conflict = /^[<=>]{7}/.test(text) ? "; it is the mark of a merge conflict" : "";
  return new UserError(
    "bad-label-line",
    `${path}, line ${line} is no label${conflict}: expected {"latent": …, "label": …}, found ${found}`,
  );
}
