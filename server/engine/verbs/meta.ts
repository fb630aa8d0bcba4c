/** `meta`: how an SAE's latents break down into meta-latents, as a value and as text. */
import { UserError } from "../../base/errors.ts";
import {
  derivedLabel,
  explainedBins,
  type MetaBreakdown,
  type MetaComparison,
  type MetaLatent,
  type MetaSummary,
} from "../../protocol/meta.ts";
import type { SaeInfo } from "../../protocol/reader.ts";
import type { Engine } from "../engine.ts";

/** A label, and whether it was only made of members' labels. */
interface Named {
  readonly label?: string;
  readonly derived?: true;
}

/** What `meta --json` prints. */
export interface MetaReport {
  readonly schemaVersion: 1;
  readonly summary: MetaSummary;
  /** Breakdowns of the latents asked for. */
  readonly latents: readonly (Omit<MetaBreakdown, "parts"> & {
    readonly label?: string;
    readonly parts: readonly (MetaBreakdown["parts"][number] & Named)[];
  })[];
  /** The meta-latents asked for; without any question those with most members. */
  readonly metaLatents: readonly (Omit<MetaLatent, "members"> &
    Named & {
      readonly members: readonly (MetaLatent["members"][number] & { label?: string })[];
    })[];
  readonly comparison?: {
    readonly narrow: string;
    readonly mean: number;
    readonly meanBack: number;
    readonly shuffledMean: number;
    /** For each meta-latent the nearest narrow latent. */
    readonly nearest: readonly { latent: number; narrow: number; cosine: number }[];
  };
}

/** What is asked. */
export interface MetaOptions {
  readonly sae: string;
  readonly meta: string;
  readonly narrow?: string;
  readonly latents: readonly number[];
  readonly metaLatents: readonly number[];
  readonly top: number;
  readonly signal?: AbortSignal;
}

/** Members that a label may be derived from, however few are shown. */
const membersForLabels = 8;
/** Meta-latents listed where none was asked for. */
const listed = 20;

/** Loads both SAEs and answers. */
export async function metaReport(engine: Engine, options: MetaOptions): Promise<MetaReport> {
  const { signal, top } = options;
  const parent = await engine.loadSae({ path: options.sae });
  const meta = await engine.loadSae({ path: options.meta });
  const pair = { meta: meta.id, parent: parent.id };
  checkLatents(parent, options.latents);
  checkLatents(meta, options.metaLatents);
  const summary = await engine.metaSummary(pair, signal);
  const broken = await engine.metaLatents({ ...pair, latents: options.latents, k: top }, signal);
  const all = await engine.metaMembers(
    { ...pair, latents: [...Array(meta.d_sae).keys()], k: Math.max(top, membersForLabels) },
    signal,
  );
  const named = (latent: number): Named => nameOf({ meta, parent }, latent, all);
  const asked = options.latents.length + options.metaLatents.length > 0;
  const chosen = asked
    ? options.metaLatents
    : all
        .toSorted((a, b) => b.count - a.count)
        .slice(0, listed)
        .map(({ latent }) => latent);
  return {
    schemaVersion: 1,
    summary,
    latents: broken.map((it) => ({
      ...it,
      ...labelled(parent, it.latent),
      parts: it.parts.map((part) => ({ ...part, ...named(part.latent) })),
    })),
    metaLatents: chosen.map((latent) => {
      const { count, members } = all[latent] as MetaLatent;
      return {
        latent,
        count,
        ...named(latent),
        members: members.slice(0, top).map((it) => ({ ...it, ...labelled(parent, it.latent) })),
      };
    }),
    ...(options.narrow === undefined
      ? {}
      : { comparison: await compared(engine, meta.id, options.narrow, signal) }),
  };
}

async function compared(
  engine: Engine,
  meta: string,
  path: string,
  signal?: AbortSignal,
): Promise<NonNullable<MetaReport["comparison"]>> {
  const narrow = (await engine.loadSae({ path })).id;
  const found: MetaComparison = await engine.metaComparison({ meta, narrow }, signal);
  const { mean, meanBack, shuffledMean } = found;
  const nearest = Array.from(found.best, (cosine, latent) => ({
    latent,
    narrow: found.bestLatent[latent] ?? 0,
    cosine,
  }));
  return { narrow, mean, meanBack, shuffledMean, nearest };
}

function nameOf(
  { meta, parent }: { meta: SaeInfo; parent: SaeInfo },
  latent: number,
  all: readonly MetaLatent[],
): Named {
  const own = meta.labels[latent];
  if (own !== undefined) return { label: own };
  const members = (all[latent]?.members ?? []).slice(0, membersForLabels);
  const label = derivedLabel(members, (member) => parent.labels[member]);
  return label === undefined ? {} : { label, derived: true };
}

function labelled({ labels }: SaeInfo, latent: number): { label?: string } {
  const label = labels[latent];
  return label === undefined ? {} : { label };
}

function checkLatents({ id, d_sae }: SaeInfo, latents: readonly number[]): void {
  const wrong = latents.find((latent) => latent >= d_sae);
  if (wrong !== undefined)
    throw new UserError(
      "no-such-latent",
      `${id} has no latent ${wrong}: its latents go from 0 to ${d_sae - 1}`,
    );
}

/** The report for people. */
export function printMetaReport({ summary, latents, metaLatents, comparison }: MetaReport): string {
  const { shuffledEntries, shuffledColumns } = summary;
  const lines = [
    `${summary.meta}: ${summary.d_sae} meta-latents of ${summary.parent} (${summary.parentLatents} latents)`,
    `variance of decoder rows explained: ${percent(summary.varianceExplained)}; of rows with shuffled entries ${percent(shuffledEntries)}, with shuffled dimensions ${percent(shuffledColumns)}`,
    `active meta-latents per latent ${summary.l0.toFixed(2)}, without members ${summary.dead}`,
    `latents by explained share: ${histogram(summary.explainedHistogram)}`,
  ];
  if (comparison)
    lines.push(
      `beside ${comparison.narrow}: mean largest cosine ${comparison.mean.toFixed(3)}, the other way ${comparison.meanBack.toFixed(3)}, of shuffled meta-latents ${comparison.shuffledMean.toFixed(3)}`,
    );
  for (const it of latents) {
    lines.push(
      "",
      `#${it.latent} ${it.label ?? ""}: ${percent(it.explained)} explained by ${it.active}`,
    );
    for (const part of it.parts)
      lines.push(
        `  meta #${part.latent} ${part.activation.toPrecision(3)}, ${percent(part.share)}, cos ${part.cosine.toFixed(2)} ${nameText(part)}`,
      );
  }
  for (const it of metaLatents) {
    lines.push("", `meta #${it.latent} ${nameText(it)}: part of ${it.count} latents`);
    for (const member of it.members)
      lines.push(
        `  #${member.latent} ${member.activation.toPrecision(3)}, cos ${member.cosine.toFixed(2)} ${member.label ?? ""}`.trimEnd(),
      );
  }
  return lines.join("\n");
}

function nameText({ label, derived }: Named): string {
  if (label === undefined) return "(no label)";
  return derived ? `(from its members: ${label})` : label;
}

/** `0–5 %: 12, 5–10 %: 40, …`, without empty bins. */
function histogram(bins: readonly number[]): string {
  const width = 100 / explainedBins;
  return bins
    .flatMap((count, bin) =>
      count === 0 ? [] : [`${bin * width}–${(bin + 1) * width} %: ${count}`],
    )
    .join(", ");
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
