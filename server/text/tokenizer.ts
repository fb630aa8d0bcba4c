/**
 * The text room: from the characters of a file to the tokens of a model and back, with exact ranges. It reads tokenizers
 * (this file; gguf-tokenizer.ts), files of prompts (contexts.ts) and chat templates (chat-template.ts), and joins them in
 * context-tokens.ts. It is pure: it neither opens files nor runs models, and a tokenizer here is its two JSON files.
 *
 * What a tokenizer does to text is followed unit by unit (aligned-text.ts), so that a token's range is never a guess.
 * Normalizers, pre-tokenizers and added tokens that cannot be followed exactly are refused with their name.
 *
 * @huggingface/tokenizers 0.2.0 is not used: it gives ids without ranges, and its steps exchange bare strings, so that ranges
 * cannot be laid over them where a step changes text. It also differs from the Rust library on 13 of the 400 SmolLM2 texts
 * (its Digits step knows ASCII digits only), and takes 12 s for 400 KB of letters that take 0.4 s here.
 */
import { type AddedToken, AddedTokenFinder, readAddedToken } from "./added-tokens.ts";
import { type Piece, originEnd, originStart, wholeText } from "./aligned-text.ts";
import { BpeModel } from "./bpe.ts";
import { EncodingBuilder } from "./encoding-builder.ts";
import { badTokenizer } from "./errors.ts";
import {
  type JsonObject,
  isObject,
  listField,
  objectField,
  objectList,
  requiredString,
  stringField,
} from "./json-fields.ts";
import { type Normalizer, readNormalizer } from "./normalizers.ts";
import { type PreTokenizer, readPreTokenizer } from "./pre-tokenizers.ts";
import { TokenTexts } from "./token-texts.ts";

/** The tokens of a text; every array has one entry per token. Ranges are in UTF-16 code units, end exclusive. */
export interface Encoding {
  readonly ids: Int32Array;
  readonly start: Int32Array;
  /** Equal to `start` for a token that stands for nothing in the text, such as Llama-2's space in front. */
  readonly end: Int32Array;
  /** 1 for special tokens. */
  readonly special: Uint8Array;
  /** As in `ContextTokens`. A cluster that a normalizer changed counts as one character, in its normalised bytes. */
  readonly byteOfCharacter: Uint8Array;
  /** As in `ContextTokens`; at most 255. */
  readonly bytesInCharacter: Uint8Array;
}

/** A model's tokenizer. */
export interface Tokenizer {
  readonly bosId?: number;
  readonly bosToken?: string;
  /** Whether Hugging Face's `tokenizer(text)` puts BOS in front by itself. */
  readonly addsBos: boolean;
  readonly eosIds: readonly number[];
  readonly chatTemplate?: string;
  /** Special tokens by the name that a chat template knows them by: `bos_token`, `eos_token`, … */
  readonly namedTokens: Readonly<Record<string, string>>;
  /** What a user should know about this tokenizer. */
  readonly notes: readonly string[];
  /** One more than the largest id; a model's embedding may have more rows. */
  readonly d_vocab: number;
  /**
   * Tokens of a text, without BOS. Text that spells a special token becomes it, as in Hugging Face's `tokenizer(text)`,
   * unless `parseSpecial` is false. Lone surrogates are read as U+FFFD.
   */
  encode(text: string, options?: { readonly parseSpecial?: boolean }): Encoding;
  /** Text of ids; what is not UTF-8 becomes U+FFFD. */
  decode(ids: ArrayLike<number>): string;
  /** One token for people: bytes that are no text by themselves as `\xNN`. */
  tokenText(id: number): string;
  /** The id of a token as the vocabulary spells it. */
  idOf(token: string): number | undefined;
}

/** The tokenizer of a model, from its tokenizer.json and, where there is one, tokenizer_config.json. */
export function readTokenizer(tokenizerJson: unknown, tokenizerConfig?: unknown): Tokenizer {
  if (!isObject(tokenizerJson)) throw badTokenizer("it is not a JSON object");
  return new BpeTokenizer(tokenizerJson, isObject(tokenizerConfig) ? tokenizerConfig : {});
}

class BpeTokenizer implements Tokenizer {
  declare readonly bosId?: number;
  declare readonly bosToken?: string;
  declare readonly chatTemplate?: string;
  readonly addsBos: boolean;
  readonly eosIds: readonly number[];
  readonly namedTokens: Readonly<Record<string, string>>;
  readonly notes: readonly string[];
  readonly d_vocab: number;
  readonly #model: BpeModel;
  readonly #normalize: Normalizer;
  readonly #preTokenize: PreTokenizer;
  readonly #rawTokens: AddedTokenFinder;
  readonly #normalizedTokens: AddedTokenFinder;
  readonly #texts: TokenTexts;
  readonly #addedIds: ReadonlyMap<string, number>;

  constructor(json: JsonObject, config: JsonObject) {
    const model = objectField(json, "model");
    if (!model) throw badTokenizer('it has no "model"');
    const { split, bytes } = readPreTokenizer(objectField(json, "pre_tokenizer"));
    this.#preTokenize = split;
    this.#normalize = readNormalizer(objectField(json, "normalizer"));
    this.#model = new BpeModel(model, bytes);
    const added = readAddedTokens(json, config, this.#model.vocabulary);
    const raw = added.filter((token) => !token.normalized);
    const normalized = added.filter((token) => token.normalized);
    this.#rawTokens = new AddedTokenFinder(raw, (piece) => piece);
    this.#normalizedTokens = new AddedTokenFinder(normalized, this.#normalize);
    this.#addedIds = new Map(added.map(({ content, id }) => [content, id]));
    this.#texts = new TokenTexts(this.#model.vocabulary, added, {
      bytes,
      decoder: objectField(json, "decoder"),
    });
    let largest = 0;
    for (const id of this.#model.vocabulary.values()) largest = Math.max(largest, id);
    for (const { id } of added) largest = Math.max(largest, id);
    this.d_vocab = largest + 1;
    this.namedTokens = readNamedTokens(config);
    const templateToken = templateBos(objectField(json, "post_processor"));
    const bos = this.namedTokens["bos_token"] ?? templateToken;
    // A template decides where there is one; SentencePiece models without one go by the config.
    this.addsBos = templateToken !== undefined || config["add_bos_token"] === true;
    const bosId = bos === undefined ? undefined : this.idOf(bos);
    if (bos !== undefined && bosId !== undefined) Object.assign(this, { bosToken: bos, bosId });
    const eosId = this.idOf(this.namedTokens["eos_token"] ?? "");
    this.eosIds = eosId === undefined ? [] : [eosId];
    const template = readChatTemplate(config);
    if (template !== undefined) this.chatTemplate = template;
    this.notes = listField(config, "workbench_notes").filter((note) => typeof note === "string");
  }

  encode(text: string, options: { readonly parseSpecial?: boolean } = {}): Encoding {
    const parseSpecial = options.parseSpecial ?? true;
    const out = new EncodingBuilder(64 + (text.length >> 1));
    for (const raw of this.#rawTokens.split(wholeText(wellFormed(text)), parseSpecial)) {
      if ("token" in raw) {
        pushAdded(out, raw.token, raw.piece);
        continue;
      }
      for (const found of this.#normalizedTokens.split(this.#normalize(raw), parseSpecial)) {
        if ("token" in found) pushAdded(out, found.token, found.piece);
        else for (const piece of this.#preTokenize(found)) this.#pushPiece(out, piece);
      }
    }
    return out.finish();
  }

  decode(ids: ArrayLike<number>): string {
    return this.#texts.decode(ids);
  }

  tokenText(id: number): string {
    return this.#texts.text(id);
  }

  idOf(token: string): number | undefined {
    return this.#addedIds.get(token) ?? this.#model.vocabulary.get(token);
  }

  #pushPiece(out: EncodingBuilder, piece: Piece): void {
    this.#model.eachStretch(piece.text, (stretch, offset) => {
      out.pushTokens(this.#model.tokens(stretch), piece, offset);
    });
  }
}

function pushAdded(out: EncodingBuilder, token: AddedToken, piece: Piece): void {
  out.pushAdded(
    token.id,
    originStart(piece, 0),
    originEnd(piece, piece.text.length),
    token.special,
  );
}

/** The text with U+FFFD for lone surrogates, which have no UTF-8; length and offsets stay. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, "\ufffd");
}

/** Added tokens of tokenizer.json, and those that only tokenizer_config.json has: transformers adds them on loading. */
function readAddedTokens(
  json: JsonObject,
  config: JsonObject,
  vocabulary: ReadonlyMap<string, number>,
): AddedToken[] {
  const tokens = objectList(json, "added_tokens").map((entry) => {
    const { id } = entry;
    if (typeof id !== "number")
      throw badTokenizer(`added token ${JSON.stringify(entry)} has no id`);
    return readAddedToken(entry, id);
  });
  const known = new Set(tokens.map(({ content }) => content));
  const more = Object.entries(objectField(config, "added_tokens_decoder") ?? {});
  for (const [id, entry] of more) {
    if (!isObject(entry)) continue;
    const token = readAddedToken(
      entry,
      vocabulary.get(requiredString(entry, "content")) ?? Number(id),
    );
    if (!known.has(token.content)) tokens.push(token);
    known.add(token.content);
  }
  for (const content of Object.values(readNamedTokens(config))) {
    const id = vocabulary.get(content);
    if (id === undefined || known.has(content)) continue;
    tokens.push(readAddedToken({ content, special: true }, id));
    known.add(content);
  }
  return tokens;
}

function readNamedTokens(config: JsonObject): Record<string, string> {
  const named: Record<string, string> = {};
  for (const [key, value] of Object.entries(config)) {
    if (!key.endsWith("_token")) continue;
    const text = isObject(value) ? stringField(value, "content") : value;
    if (typeof text === "string") named[key] = text;
  }
  return named;
}

/** The BOS token by a TemplateProcessing post-processor: the special token before the sequence. */
function templateBos(json: JsonObject | undefined): string | undefined {
  if (!json) return undefined;
  if (json["type"] === "Sequence")
    return objectList(json, "processors")
      .map(templateBos)
      .find((token) => token !== undefined);
  if (json["type"] !== "TemplateProcessing") return undefined;
  const first = objectList(json, "single")[0];
  const special = first && objectField(first, "SpecialToken");
  const name = special && stringField(special, "id");
  const entry = objectField(objectField(json, "special_tokens") ?? {}, name ?? "");
  const token = entry && listField(entry, "tokens")[0];
  return typeof token === "string" ? token : undefined;
}

/** The chat template; of several named ones the default. */
function readChatTemplate(config: JsonObject): string | undefined {
  const template = config["chat_template"];
  if (typeof template === "string") return template;
  if (!Array.isArray(template)) return undefined;
  const named = template.filter(isObject);
  const chosen = named.find((entry) => entry["name"] === "default") ?? named[0];
  return chosen && stringField(chosen, "template");
}
