/**
 * The three kinds of failure of this project.
 *
 * `UserError`: the user can act; its text says what was found, what was expected and what to do.
 * Cancellation: an `AbortSignal` fired; never logged, never shown.
 * Everything else is a bug, caught once at the edge of a process.
 */

/** A failure that the user can act on. `code` is stable; tests assert both. */
export class UserError extends Error {
  readonly code: string;
  constructor(code: string, text: string, options?: ErrorOptions) {
    super(text, options);
    this.name = "UserError";
    this.code = code;
  }
}

/** True for the error that `signal.throwIfAborted()` throws. */
export function isCancelled(error: unknown): boolean {
  return error instanceof Error && (error.name === "AbortError" || error.name === "Cancelled");
}

/** Throws when an invariant of ours does not hold: a bug, never a user's mistake. */
export function assert(condition: unknown, text: string): asserts condition {
  if (!condition) throw new Error(`bug: ${text}`);
}

/** Marks a branch that the types rule out. */
export function unreachable(value: never): never {
  throw new Error(`bug: unexpected value ${JSON.stringify(value)}`);
}
