/**
 * Prints which latents fire at each token of a file: `print-latents FILE`. It asks the language server what an
 * editor would ask, and prints the answers as a table.
 */
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { CardLatent, TextOverview, TokenCard } from "../server/protocol/page.ts";
import { HeadlessClient } from "./headless-client.ts";

// Bundled to dist/dev/print-latents.js.
const repoRoot = join(dirname(fileURLToPath(import.meta.url)), "../..");
const latentsPerToken = 3;

// `npm start -- --once | head` closes the pipe early.
process.stdout.on("error", ({ code }: NodeJS.ErrnoException) =>
  process.exit(code === "EPIPE" ? 0 : 1),
);
process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const file = resolve(args[0] ?? join(repoRoot, "demo/prompts/einstein.txt"));
  if (!existsSync(file)) {
    process.stderr.write(`${file} does not exist\n`);
    return 1;
  }
  const log: string[] = [];
  let client: HeadlessClient | undefined;
  try {
    client = await HeadlessClient.start({
      server: join(repoRoot, "dist/main.js"),
      workspaceFolder: workspaceOf(file),
      settings: { hover: { latents: 5 } },
      onLog: (text) => log.push(text),
    });
    return await printFile(client, file);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.stderr.write(log.slice(-20).join(""));
    return 1;
  } finally {
    await client?.stop();
  }
}

/** The demo folder for its own files, so that its `latents.jsonc` counts; else the file's folder. */
function workspaceOf(file: string): string {
  const demo = join(repoRoot, "demo");
  return file.startsWith(demo + sep) ? demo : dirname(file);
}

async function printFile(client: HeadlessClient, file: string): Promise<number> {
  const uri = await client.open(file);
  const overview = await settle(client, uri);
  if (overview.state !== "ready") {
    const { text } = await client.page("status", { uri });
    process.stderr.write(`${[text, ...overview.problems].join("\n")}\n`);
    return 1;
  }
  const [sae] = overview.saes;
  if (!sae) {
    process.stderr.write(`no SAE is loaded for ${overview.lm}\n`);
    return 1;
  }
  print(`${basename(file)}  ·  ${overview.lm}  ·  ${overview.device}`);
  for (const { id, hook, d_sae, badges } of overview.saes)
    print(`  ${id === sae.id ? "▸" : " "} ${id}: ${d_sae} latents on ${hook}${badgeText(badges)}`);
  for (const problem of overview.problems) print(`  ! ${problem}`);
  for (const context of overview.contexts) {
    print("");
    if (overview.contexts.length > 1) print(`${context.title}, ${context.tokens} tokens`);
    print(
      tableRow("", "token", "L0", [`strongest latents of ${sae.id}: number, activation, label`]),
    );
    for (let index = 0; index < context.tokens; index++)
      printCard(
        await client.page("tokenCard", {
          uri,
          context: context.index,
          index,
          sae: sae.id,
          top: latentsPerToken,
        }),
      );
  }
  await printHover(client, uri, overview);
  return 0;
}

/** Waits until the file's analysis is done or has come to a problem; switches on a file that no pattern names. */
async function settle(client: HeadlessClient, uri: string): Promise<TextOverview> {
  let overview = await client.page("overview", { uri });
  if (overview.state === "off") {
    await client.page("switchFile", { uri, on: true });
    overview = await client.page("overview", { uri });
  }
  while (overview.state === "working") {
    await client.changed(uri, 250);
    overview = await client.page("overview", { uri });
  }
  return overview;
}

function printCard({ index, text, special, l0, latents }: TokenCard): void {
  // At BOS every SAE errs, and hundreds of latents fire: nothing to read there.
  const cells = special ? ["(special token)"] : latents.map(latentCell);
  print(tableRow(String(index), printable(text), special ? "" : String(l0), cells));
}

function latentCell({ latent, activation, label, logitEffects }: CardLatent): string {
  const words = label ?? (logitEffects ? `→ ${logitEffects.map(printable).join(" ")}` : "");
  return `${String(latent).padStart(4)} ${activation.toFixed(1).padStart(6)} ${words}`;
}

/** The hover at the token of the first context whose strongest latent is strongest. */
async function printHover(
  client: HeadlessClient,
  uri: string,
  overview: TextOverview,
): Promise<void> {
  const first = overview.contexts[0];
  if (!first) return;
  const { tokens } = await client.page("tokens", {
    uri,
    context: first.index,
    from: 0,
    to: first.tokens,
    mode: "activation",
  });
  const strongest = tokens
    .filter(({ startOffset, special }) => startOffset !== undefined && !special)
    .toSorted((a, b) => b.heat - a.heat)[0];
  const offset = strongest?.startOffset;
  if (offset === undefined) return;
  const position = positionAt(readFileSync(fileURLToPath(uri), "utf8"), offset);
  const hover = await client.hover(uri, position);
  if (!hover) throw new Error("the server gave no hover for an analysed token");
  const { contents } = hover;
  const markdown =
    typeof contents === "object" && "value" in contents
      ? contents.value
      : JSON.stringify(contents, undefined, 2);
  print(`\nThe hover at ${printable(strongest?.text ?? "")}, as an editor gets it:\n`);
  print(markdown.replace(/^/gm, "  "));
}

function positionAt(text: string, offset: number): { line: number; character: number } {
  const before = text.slice(0, offset).split(/\r\n|\r|\n/);
  return { line: before.length - 1, character: before.at(-1)?.length ?? 0 };
}

function badgeText(badges: readonly string[]): string {
  return badges.length > 0 ? `  [${badges.join("; ")}]` : "";
}

function tableRow(index: string, token: string, l0: string, cells: readonly string[]): string {
  const width = Math.max(80, process.stdout.columns ?? 140);
  const head = `${index.padStart(5)}  ${fit(token, 14)} ${l0.padStart(4)}  `;
  const room = Math.max(20, Math.floor((width - head.length) / latentsPerToken) - 1);
  const body = cells.length === 1 ? cells[0] : cells.map((cell) => fit(cell, room)).join(" ");
  return (head + (body ?? "")).trimEnd();
}

/** Cuts or pads to a width, counted in characters as people see them. */
function fit(text: string, width: number): string {
  const graphemes = [...new Intl.Segmenter().segment(text)].map(({ segment }) => segment);
  if (graphemes.length <= width) return text + " ".repeat(width - graphemes.length);
  return `${graphemes.slice(0, width - 1).join("")}…`;
}

/** A token with its blanks and line breaks visible. */
function printable(text: string): string {
  return text.replaceAll(" ", "·").replaceAll("\n", "⏎").replaceAll("\t", "⇥");
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
