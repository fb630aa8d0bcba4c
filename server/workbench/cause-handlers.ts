/** Answers about causes, by the table `CauseMethods`: the reader's, with labels and ranges of the file. */
import { UserError } from "../base/errors.ts";
import type { AttributionReading, SteeredSide } from "../protocol/interventions.ts";
import type {
  AttributeNext,
  AttributionToken,
  AttributionView,
  CauseMethods,
  SteeredText,
  SteeringView,
  SteerText,
} from "../protocol/page-causes.ts";
import type { SaeInfo } from "../protocol/reader.ts";
import type { Handlers } from "../protocol/rpc.ts";
import { labelsOf } from "./labels.ts";
import type { PageSurroundings } from "./pages.ts";
import { tokenRange } from "./positions.ts";
import type { Workbench } from "./workbench.ts";

/** Latents that an attribution is shown with at most. */
const shownLatents = 60;

/** The handlers over a workbench. */
export function causeHandlers(
  workbench: Workbench,
  surroundings: PageSurroundings,
): Handlers<CauseMethods> {
  return {
    attributeNext: (params, signal) =>
      surroundings.withProgress("Attributing the next token", signal, (report, cancelled) =>
        attributeNext(workbench, params, report, cancelled),
      ),
    steerText: (params, signal) =>
      surroundings.withProgress("Steering", signal, (report, cancelled) =>
        steerText(workbench, params, report, cancelled),
      ),
  };
}

type Report = (text: string, fraction?: number) => void;

async function attributeNext(
  workbench: Workbench,
  params: AttributeNext,
  report: Report,
  signal: AbortSignal,
): Promise<AttributionView> {
  const { uri, context, index, target, method, steps, ablations } = params;
  const document = workbench.document(uri);
  const { version } = document;
  const { state, reading, set, sae } = await workbench.reading(
    document,
    context,
    params.sae,
    signal,
  );
  checkToken(index, reading.tokens.ids.length);
  const meta = set.metas.find((it) => it.metaOf === sae.id);
  const found = await workbench.reader.callWithProgress(
    "attribute",
    {
      lm: set.lm.id,
      sae: sae.id,
      ...(meta ? { meta: meta.id } : {}),
      context: state.source,
      position: index,
      target,
      positions: "all",
      method,
      steps,
      top: shownLatents,
      ablations,
    },
    report,
    signal,
  );
  const tokenAt = (position: number): number =>
    position === 0 || found.left === 0 ? position : position + found.left;
  const tokens = found.tokens.map((token, position): AttributionToken => {
    const range = tokenRange(state.source, reading.tokens, tokenAt(position));
    return { ...token, ...range };
  });
  return {
    ...found,
    uri,
    version,
    lm: set.lm.id,
    tokens,
    labels: labelsOf(workbench, sae, found.latents),
    metaLabels: meta ? metaLabels(workbench, meta, found) : {},
  };
}

function metaLabels(
  workbench: Workbench,
  meta: SaeInfo,
  found: AttributionReading,
): Record<number, string> {
  const latents = found.meta?.latents.map((it) => ({ latent: it.metaLatent })) ?? [];
  return labelsOf(workbench, meta, latents);
}

async function steerText(
  workbench: Workbench,
  params: SteerText,
  report: Report,
  signal: AbortSignal,
): Promise<SteeringView> {
  const { uri, context, index, positions, keepError, maxNewTokens, temperature, seed } = params;
  const document = workbench.document(uri);
  const { state, reading, set, sae } = await workbench.reading(
    document,
    context,
    params.sae,
    signal,
  );
  if (index !== undefined) checkToken(index, reading.tokens.ids.length);
  const meta = set.metas.find((it) => it.metaOf === sae.id);
  const found = await workbench.reader.callWithProgress(
    "steer",
    {
      lm: set.lm.id,
      sae: sae.id,
      ...(meta ? { meta: meta.id } : {}),
      context: state.source,
      ...(index === undefined ? {} : { position: index }),
      steps: params.steps.map(({ kind, latent, mode, amount }) => ({
        target: { kind, latent },
        mode,
        amount,
      })),
      positions,
      keepError,
      maxNewTokens,
      temperature,
      seed,
    },
    report,
    signal,
  );
  const { divergence, hook, prompt, steps, problems } = found;
  return {
    lm: set.lm.id,
    sae: sae.id,
    hook,
    prompt,
    steps,
    problems,
    original: sideOf(found.original),
    steered: sideOf(found.steered),
    meanDivergence: divergence.reduce((sum, value) => sum + value, 0) / divergence.length,
    lastDivergence: divergence.at(-1) ?? 0,
  };
}

function sideOf({ text, next, loss }: SteeredSide): SteeredText {
  return { text, next, loss: Number.isNaN(loss) ? null : loss };
}

function checkToken(index: number, nTokens: number): void {
  if (Number.isInteger(index) && index >= 0 && index < nTokens) return;
  throw new UserError(
    "no-token",
    `there is no token ${index + 1}: the context has ${nTokens}; the text may have changed, so ask again`,
  );
}
