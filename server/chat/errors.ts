/** What can go wrong on the way to a language model elsewhere. No error carries a key. */
import { UserError } from "../base/errors.ts";

/** The setting or flag is no address that may be used. */
export function badEndpoint(found: string, why: string): UserError {
  return new UserError(
    "bad-endpoint",
    `the endpoint ${JSON.stringify(found)} ${why}; expected an address such as https://api.example.com/v1 or http://localhost:11434/v1`,
  );
}

export function endpointUnreachable(url: string, attempts: number, why: string): UserError {
  return new UserError(
    "endpoint-unreachable",
    `${url} did not answer in ${attempts} attempts (${why}); what was answered before is kept, so run it again later`,
  );
}

export function endpointRefuses(url: string, status: number, said: string): UserError {
  if (status === 401 || status === 403)
    return new UserError(
      "endpoint-unauthorised",
      `${url} refuses the key (HTTP ${status})${said}; set another key`,
    );
  const hint =
    status === 404
      ? "; check the model's name and that the address ends where /chat/completions begins"
      : "";
  return new UserError("endpoint-refuses", `${url} refuses (HTTP ${status})${said}${hint}`);
}

export function endpointWaits(url: string, seconds: number): UserError {
  return new UserError(
    "endpoint-busy",
    `${url} asks to wait ${seconds} s, which is too long to wait here; what was answered before is kept, so run it again later`,
  );
}

export function badChatAnswer(url: string, why: string): UserError {
  return new UserError(
    "bad-chat-answer",
    `${url} answered with something else than a chat completion (${why}); expected choices[0].message.content`,
  );
}
