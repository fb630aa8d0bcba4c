// The reader's program: owns one device, its models and SAEs, and answers its parent over IPC.
import { Engine } from "./engine/engine.ts";
import type { ReaderMethods, ReaderSettings } from "./protocol/reader.ts";
import { type Handlers, serve } from "./protocol/rpc.ts";

const settings = JSON.parse(process.argv[2] ?? "{}") as ReaderSettings;
const engine = Engine.open(settings);
engine.catch(() => undefined); // every call reports why the device could not be opened

const methods = [
  "info",
  "probe",
  "loadLm",
  "loadSae",
  "unload",
  "selfCheck",
  "analyse",
  "predictions",
  "logitEffects",
  "generate",
  "metaLatents",
  "dropStreams",
] as const satisfies (keyof ReaderMethods)[];
const handlers = Object.fromEntries(
  methods.map((method) => [
    method,
    async (params: never, signal: AbortSignal) => (await engine)[method](params, signal),
  ]),
) as unknown as Handlers<ReaderMethods>;

serve<ReaderMethods>(
  {
    post: (message) => process.send?.(message, undefined, undefined, () => undefined),
    onMessage: (listener) => process.on("message", listener),
  },
  handlers,
  (error, method) =>
    process.stderr.write(`${method}: ${String((error as Error)?.stack ?? error)}\n`),
);
process.on("disconnect", () => process.exit(0));
