/** Around every handler: cancellation in, failures out. The one place where errors are caught. */
import { type CancellationToken, LSPErrorCodes, ResponseError } from "vscode-languageserver/node";
import { isCancelled, UserError } from "../base/errors.ts";
import { failureOf } from "../protocol/rpc.ts";

/** A cancellation token as an `AbortSignal`. */
export function signalOf(token: CancellationToken): AbortSignal {
  const controller = new AbortController();
  if (token.isCancellationRequested) controller.abort();
  token.onCancellationRequested(() => controller.abort());
  return controller.signal;
}

/**
 * Runs a handler; its failure becomes an LSP error whose data is a `Failure`. A cancelled request is answered
 * with RequestCancelled, one whose document changed under it with ContentModified. One that was under way when the
 * reader was restarted runs again.
 */
export async function dispatch<T>(
  token: CancellationToken,
  handler: (signal: AbortSignal) => Promise<T> | T,
  onBug: (text: string) => void,
): Promise<T> {
  const signal = signalOf(token);
  const attempt = async (): Promise<T> => handler(signal);
  try {
    return await attempt().catch((error: unknown) => {
      if (error instanceof UserError && error.code === "reader-restarted") return attempt();
      throw error;
    });
  } catch (error) {
    if (isCancelled(error)) {
      const code = signal.aborted ? LSPErrorCodes.RequestCancelled : LSPErrorCodes.ContentModified;
      throw new ResponseError(code, signal.aborted ? "cancelled" : "the document changed");
    }
    const failure = failureOf(error);
    if (failure.kind === "bug") onBug(failure.text);
    throw new ResponseError(
      LSPErrorCodes.RequestFailed,
      failure.text.split("\n")[0] ?? "",
      failure,
    );
  }
}
