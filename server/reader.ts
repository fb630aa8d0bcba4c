// The reader's program: owns one device, its models and SAEs, and answers its parent over IPC.
import { Engine } from "./engine/engine.ts";
import type { ReaderMethods, ReaderSettings } from "./protocol/reader.ts";
import { type Handlers, serve } from "./protocol/rpc.ts";

const settings = JSON.parse(process.argv[2] ?? "{}") as ReaderSettings;
const engine = Engine.open(settings);
engine.catch(() => undefined); // every call reports why the device could not be opened

// A record, so that a method of the table that is missing here does not compile.
const methods = {
  info: true,
  probe: true,
  loadLm: true,
  loadSae: true,
  unload: true,
  selfCheck: true,
  findLatents: true,
  analyse: true,
  predictions: true,
  logitEffects: true,
  generate: true,
  metaLatents: true,
  metaSummary: true,
  metaMembers: true,
  metaComparison: true,
  relation: true,
  attribute: true,
  steer: true,
  compare: true,
  counterfactual: true,
  stitch: true,
  stitchProgress: true,
  writeStitched: true,
  prepareAbsorption: true,
  causalAbsorption: true,
  absorptionProgress: true,
  levels: true,
  repair: true,
  decompositionProgress: true,
  dropStreams: true,
} satisfies Record<keyof ReaderMethods, true>;
const handlers = Object.fromEntries(
  (Object.keys(methods) as (keyof ReaderMethods)[]).map((method) => [
    method,
    async (params: never, signal: AbortSignal) => (await engine)[method](params, signal),
  ]),
) as unknown as Handlers<ReaderMethods>;

const tell = serve<ReaderMethods>(
  {
    post: (message) => process.send?.(message, undefined, undefined, () => undefined),
    onMessage: (listener) => process.on("message", listener),
  },
  handlers,
  (error, method) =>
    process.stderr.write(`${method}: ${String((error as Error)?.stack ?? error)}\n`),
);
void engine.then(
  (opened) => (opened.onProgress = (progress) => tell("progress", progress)),
  () => undefined,
);
process.on("disconnect", () => process.exit(0));
