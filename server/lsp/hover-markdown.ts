/** A hover's content as Markdown, at most about twenty lines. */
import type { CardLatent, TokenCard } from "../protocol/page.ts";
import { counterpartText } from "../protocol/stitching.ts";
import type { HoverContent } from "../workbench/workbench.ts";
import { absorptionLines } from "./absorption-markdown.ts";
import { bar, code, commandLink, figure, plain, shortened } from "./markdown.ts";

/** Latents of a split word that are shown beside the token's own. */
const wordLatents = 3;
/** Meta-latents that are shown of a latent, and latents of which the footer says what they are to a narrower SAE. */
const metaParts = 4;
const counterparts = 3;

/** Renders cards of one token under each SAE. `links`: whether the editor can run our commands. */
export function hoverMarkdown(content: HoverContent, uri: string, links: boolean): string {
  const [first] = content.cards;
  if (!first) return "";
  const place = { uri, context: first.context, index: first.index };
  const ask = { ...place, sae: first.sae };
  const link = links
    ? ` · ${commandLink("Open text page", "openTextPage", place)} · ${commandLink("Attribute next token", "attributeNext", ask)}`
    : "";
  const lines = [summary(first, content.contextCount) + link];
  const top = content.cards.length > 1 ? Math.max(3, Math.floor(8 / content.cards.length)) : 99;
  for (const card of content.cards) {
    lines.push("", ...table(card, top, links));
    const word = content.words.find((it) => it.sae === card.sae);
    if (word)
      lines.push(
        "",
        `${code(shortened(word.text, 40))} as one (${word.tokens} tokens): ${word.latents
          .slice(0, wordLatents)
          .map(
            (it) => `#${it.latent} max ${figure(it.max)}, mean ${figure(it.mean)}, on ${it.count}`,
          )
          .join(" · ")}`,
      );
    lines.push(...absorptionLines(card.absorption ?? []));
    lines.push("", footer(card));
  }
  for (const note of content.notes) lines.push("", `*${plain(note)}*`);
  return lines.join("\n");
}

function summary(card: TokenCard, contextCount: number): string {
  const place = `token ${card.index + 1} of ${card.tokensInContext}`;
  const parts = [
    code(card.text),
    `id ${card.id}`,
    contextCount > 1 ? `${place} of context ${card.context + 1}` : place,
    `position ${card.position}`,
  ];
  if (card.byteOfCharacter) parts.push(card.byteOfCharacter);
  if (card.special) parts.push("special token");
  return parts.join(" · ");
}

function table(card: TokenCard, top: number, links: boolean): string[] {
  const shown = card.latents.filter((it) => !it.dense).slice(0, top);
  const dense = card.latents.filter((it) => it.dense);
  if (card.latents.length === 0) return [`no latent is active here · L0 0`];
  const rows = shown.map((it) => latentRow(card, it, links));
  const folded =
    dense.length === 0
      ? []
      : [
          `| | | | *dense (on more than 10 % of tokens): ${dense
            .map((it) => `#${it.latent} ${figure(it.activation)}`)
            .join(", ")}* |`,
        ];
  const error = card.squaredError / Math.max(1e-30, card.inputNorm ** 2);
  // VS Code shows about eleven lines before one must scroll: the figures of the token head the table.
  const head = `| latent | | activation | L0 ${card.l0} · error ${figure(error * 100)} % of ‖x‖² |`;
  return [head, "|---:|:---|---:|:---|", ...rows, ...folded];
}

function latentRow(card: TokenCard, it: CardLatent, links: boolean): string {
  const name = `#${it.latent}`;
  const link = links
    ? commandLink(name, "exploreLatents", { sae: card.sae, latent: it.latent })
    : name;
  return `| ${link} | \`${bar(it.share)}\` | ${figure(it.activation)} | ${meaning(it)} |`;
}

function meaning({ label, logitEffects, metaLatents, metaExplained }: CardLatent): string {
  const what =
    label === undefined
      ? `*${(logitEffects ?? []).map((it) => `“${plain(shortened(it, 20))}”`).join(" ")}*`
      : plain(shortened(label, 70));
  const meta = metaText(metaLatents ?? [], metaExplained);
  return meta ? `${what === "**" ? "" : what} ⊂ ${meta}` : what === "**" ? "" : what;
}

/** Up to four meta-latents with what each explains of the latent's direction; labels that are only derived lean. */
function metaText(parts: NonNullable<CardLatent["metaLatents"]>, explained = 0): string {
  if (parts.length === 0) return "";
  const texts = parts.slice(0, metaParts).map(({ latent, share, label, derivedLabel }) => {
    const name =
      label !== undefined
        ? plain(shortened(label, 24))
        : derivedLabel !== undefined
          ? `*${plain(shortened(derivedLabel, 24))}*`
          : `#${latent}`;
    return `${name} ${percent(share)}`;
  });
  return `${texts.join(", ")} (${percent(explained)} explained)`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function footer(card: TokenCard): string {
  const place = `${code(card.sae)} · ${code(card.hook)} · ${card.device}`;
  const compared = card.latents
    .filter((it) => !it.dense)
    .flatMap(({ latent, counterpart }) => (counterpart ? [{ latent, counterpart }] : []))
    .slice(0, counterparts);
  const [first] = compared;
  if (!first) return place;
  const texts = compared.map((it) => `#${it.latent} ${counterpartText(it.counterpart)}`);
  return `${place}  \nbeside ${code(first.counterpart.narrow)}: ${texts.join(" · ")}`;
}
