/** Labels of a workspace: read from its files, asked by latent, written back line by line. */
import { userInfo } from "node:os";
import { writeFileAtomic } from "../files/disk.ts";
import type { LatentLabel } from "../protocol/explorer.ts";
import type { SaeInfo } from "../protocol/reader.ts";
import {
  labelsPath,
  preferred,
  readLabelFile,
  readLabelFiles,
  type StoredLabel,
  writeLabelFile,
} from "./label-files.ts";
import type { LatentsFile } from "../text/latents-file.ts";
import { explanationOf, labelsOfExport, sourceOfId } from "./neuronpedia.ts";
import { noWorkspaceFolder } from "./runs-errors.ts";

/** The labels folder of the workspace. */
export class LabelStore {
  readonly #folders: readonly string[];
  #labels = new Map<string, StoredLabel[]>();

  constructor(folders: readonly string[]) {
    this.#folders = folders;
  }

  /** Reads all files again; returns what is wrong with them. */
  reload(): string[] {
    const { labels, problems } = readLabelFiles(this.#folders);
    this.#labels = labels;
    return problems;
  }

  /** The label to show of each latent, by SAE, over those of `latents.jsonc`. */
  over(labels: LatentsFile["labels"]): LatentsFile["labels"] {
    const merged: Record<string, Record<string, string>> = Object.fromEntries(
      Object.entries(labels).map(([sae, own]) => [sae, { ...own }]),
    );
    for (const [sae, stored] of this.#labels) {
      const byLatent = new Map<number, StoredLabel[]>();
      for (const label of stored)
        byLatent.set(label.latent, [...(byLatent.get(label.latent) ?? []), label]);
      const shown = (merged[sae] ??= {});
      for (const [latent, all] of byLatent) shown[latent] = preferred(all)?.label ?? "";
    }
    return merged;
  }

  /** Every label of a latent, the one to show first. */
  of(sae: SaeInfo, latent: number, file: LatentsFile["labels"]): LatentLabel[] {
    const stored = (this.#labels.get(sae.id) ?? []).filter((it) => it.latent === latent);
    const first = preferred(stored);
    const inFile = file[sae.id]?.[String(latent)];
    const beside = sae.labels[latent];
    return [
      ...(first ? [first, ...stored.filter((it) => it !== first)] : []).map(shownLabel),
      ...(inFile === undefined ? [] : [{ text: inFile, from: "latents.jsonc" as const }]),
      ...(beside === undefined ? [] : [{ text: beside, from: "sae" as const }]),
    ];
  }

  /** Writes one's own label; an empty text takes it away. */
  set(sae: string, latent: number, text: string): void {
    const author = authorName();
    const isOwn = (it: StoredLabel): boolean =>
      it.latent === latent && it.id === undefined && it.author === author;
    const label = text.replace(/\s+/g, " ").trim();
    const date = new Date().toISOString().slice(0, 10);
    this.#change(sae, (labels) => [
      ...labels.filter((it) => !isOwn(it)),
      ...(label === "" ? [] : [{ latent, label, author, date }]),
    ]);
  }

  /** Adds an export's explanations; one of the same id takes the place of the old one. */
  async import(
    sae: SaeInfo,
    file: string,
  ): Promise<{ added: number; changed: number; file: string }> {
    const found = await labelsOfExport(file, sae.d_sae);
    let [added, changed] = [0, 0];
    const path = this.#change(sae.id, (labels) => {
      const byKey = new Map(labels.map((it) => [keyOf(it), it]));
      for (const label of found) {
        const before = byKey.get(keyOf(label));
        if (before === undefined) added++;
        else if (before.label !== label.label) changed++;
        byKey.set(keyOf(label), label);
      }
      return [...byKey.values()];
    });
    return { added, changed, file: path };
  }

  /** Writes all labels but those beside the weights as explanations, one a line. */
  export(
    sae: SaeInfo,
    file: string,
    { inFile, source }: { inFile: Readonly<Record<string, string>>; source: string | undefined },
  ): number {
    const stored = this.#labels.get(sae.id) ?? [];
    const more = Object.entries(inFile).map(([latent, label]) => ({
      latent: Number(latent),
      label,
    }));
    const rows = [...stored, ...more]
      .toSorted((a, b) => a.latent - b.latent)
      .map((it) => explanationOf(it, source === undefined ? undefined : sourceOfId(source)));
    writeFileAtomic(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    return rows.length;
  }

  /** `modelId/layer` that imported labels name. */
  sourceOf(sae: string): string | undefined {
    for (const { neuronpedia } of this.#labels.get(sae) ?? []) {
      const { modelId, layer } = neuronpedia ?? {};
      if (typeof modelId === "string" && typeof layer === "string") return `${modelId}/${layer}`;
    }
    return undefined;
  }

  #change(sae: string, change: (labels: StoredLabel[]) => StoredLabel[]): string {
    const [folder] = this.#folders;
    if (folder === undefined) throw noWorkspaceFolder();
    const path = labelsPath(folder, sae);
    writeLabelFile(path, change(readLabelFile(path)));
    this.reload();
    return path;
  }
}

function keyOf({ id, latent, label }: StoredLabel): string {
  return id ?? `${latent} ${label}`;
}

function shownLabel({ label, author, date, id, neuronpedia }: StoredLabel): LatentLabel {
  const type = neuronpedia?.["typeName"];
  return {
    text: label,
    from: "labels",
    ...(author === undefined ? {} : { author }),
    ...(date === undefined ? {} : { date }),
    ...(id === undefined ? {} : { id }),
    ...(typeof type === "string" ? { type } : {}),
  };
}

/** Who writes: git's own variable, else the name of the account. */
function authorName(): string {
  return process.env["GIT_AUTHOR_NAME"] || userInfo().username;
}
