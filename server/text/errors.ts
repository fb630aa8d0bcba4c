/** What a user can run into with tokenizers, chat templates and prompt files. */
import { UserError } from "../base/errors.ts";

/** The tokenizer has a part that we do not have, or not exactly. */
export function unsupportedTokenizer(found: string, supported: string): UserError {
  return new UserError(
    "unsupported-tokenizer",
    `the tokenizer has ${found}; supported: ${supported}. Token ids and ranges would not be exact, so it is refused: ` +
      `take a model with a supported tokenizer, or give token ids instead of text`,
  );
}

/** The tokenizer's file contradicts itself or lacks something. */
export function badTokenizer(found: string): UserError {
  return new UserError(
    "bad-tokenizer",
    `tokenizer.json is not usable: ${found}; download it again or save it with tokenizers' Tokenizer.save`,
  );
}

/** A regular expression of a tokenizer uses syntax that we do not translate. */
export function unsupportedPattern(pattern: string, at: number, why: string): UserError {
  return new UserError(
    "unsupported-pattern",
    `the tokenizer splits text with ${JSON.stringify(pattern)}, of which ${why} (at ${at}) is not supported: ` +
      `token ids might differ from the model's, so it is refused`,
  );
}

/** Text whose normal form we cannot lead back to the characters of the file. */
export function unalignedNormalForm(form: string, excerpt: string): UserError {
  return new UserError(
    "unaligned-normal-form",
    `the tokenizer changes text to ${form}, and near ${JSON.stringify(excerpt)} the changed text cannot be led back to ` +
      `the file's characters; write these characters in ${form}`,
  );
}

/** Text with a run of one kind of character that is too long to be split. */
export function unbrokenRun(length: number, cause: unknown): UserError {
  return new UserError(
    "unbroken-run",
    `among ${length} characters there are millions of letters, or of spaces, in one run, too many to be split into words; ` +
      `break the run up`,
    { cause },
  );
}

/** The tokenizer of a GGUF file cannot be rebuilt. */
export function unsupportedGgufTokenizer(key: string, found: string, supported: string): UserError {
  return new UserError(
    "unsupported-gguf-tokenizer",
    `GGUF metadata ${key} is ${found}; supported: ${supported}. Put the model's tokenizer.json beside the file`,
  );
}

/** The GGUF file holds no tokenizer, or half of one. */
export function badGgufTokenizer(found: string): UserError {
  return new UserError(
    "bad-gguf-tokenizer",
    `the GGUF file's tokenizer is not usable: ${found}; put the model's tokenizer.json beside the file`,
  );
}

/** The model has no chat template. */
export function noChatTemplate(): UserError {
  return new UserError(
    "no-chat-template",
    "the model has no chat template, so a conversation cannot be read; take an instruct model, or write the prompt as plain text",
  );
}

/** The chat template did not render: its own exception, or syntax that the template engine lacks. */
export function chatTemplateRefused(text: string, cause: unknown): UserError {
  return new UserError(
    "chat-template-refused",
    `the model's chat template refuses this conversation: ${text}`,
    { cause },
  );
}
