/**
 * Regular expressions of tokenizer.json, which are Oniguruma's (Ruby syntax), as JavaScript ones.
 *
 * Syntax without an exact counterpart is refused, never approximated. Differences that are bridged: properties are those
 * of Unicode 16 (unicode-class.ts), `\s` is White_Space (JavaScript's own has U+FEFF and lacks U+0085), `(?i:…)` also
 * folds U+017F to s and U+212A to k, atomic groups and possessive quantifiers become a look-ahead with a back reference.
 */
import { unsupportedPattern } from "./errors.ts";
import { unicodeClass } from "./unicode-class.ts";

/** The JavaScript form of an Oniguruma pattern, with flags `gv`. Text it runs over must hold no lone surrogates. */
export function translateOniguruma(pattern: string): RegExp {
  return new RegExp(new Translator(pattern).translate(), "gv");
}

/** White_Space is the same in every version of Unicode since 6.3. */
const whiteSpace = "[\\p{White_Space}]";

/** What a letter matches under `(?i:…)` beyond its two ASCII forms. */
const extraFolds: Readonly<Record<string, string>> = { s: "\\u{17f}", k: "\\u{212a}" };

const groupOpenings = ["(?:", "(?=", "(?!", "(?<=", "(?<!", "(?i:", "(?>"] as const;

class Translator {
  readonly #pattern: string;
  #at = 0;
  #ignoreCase = false;
  #nAtomic = 0;

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  translate(): string {
    const result = this.#alternatives();
    if (this.#at < this.#pattern.length) throw this.#unsupported("an unmatched )");
    return result;
  }

  #unsupported(what: string): Error {
    return unsupportedPattern(this.#pattern, this.#at, what);
  }

  /** Takes `text` if it stands here. */
  #take(text: string): boolean {
    if (!this.#pattern.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #next(): string {
    const point = this.#pattern.codePointAt(this.#at);
    if (point === undefined) throw this.#unsupported("its sudden end");
    const character = String.fromCodePoint(point);
    this.#at += character.length;
    return character;
  }

  /** Alternatives up to a `)` or the end. */
  #alternatives(): string {
    let result = "";
    while (this.#at < this.#pattern.length && this.#pattern[this.#at] !== ")") {
      if (this.#take("|")) result += "|";
      else result += this.#quantified(this.#atom());
    }
    return result;
  }

  #quantified(atom: string): string {
    const match = /^(?:[*+?]|\{\d*,?\d*\})/.exec(this.#pattern.slice(this.#at));
    if (!match || match[0] === "{}" || match[0] === "{,}") return atom;
    this.#at += match[0].length;
    const braces = match[0].startsWith("{");
    const quantifier = match[0].replace("{,", "{0,");
    if (this.#take("?")) {
      if (braces && !quantifier.includes(",")) throw this.#unsupported("{n}?");
      return `${atom}${quantifier}?`;
    }
    // Ruby syntax: + after * + ? is possessive, after {n,m} it repeats.
    if (!braces && this.#take("+")) return this.#atomic(atom + quantifier);
    if (/^[*+]/.test(this.#pattern.slice(this.#at)))
      throw this.#unsupported("a quantifier of a quantifier");
    return atom + quantifier;
  }

  #atomic(body: string): string {
    const name = `atomic${this.#nAtomic++}`;
    return `(?:(?=(?<${name}>${body}))\\k<${name}>)`;
  }

  #atom(): string {
    if (this.#pattern[this.#at] === "(") return this.#group();
    if (this.#take("[")) return this.#class();
    const character = this.#next();
    switch (character) {
      case "\\":
        return this.#escape().class;
      case ".":
        return "[^\\n]";
      case "^":
        return "(?<![^\\n])";
      case "$":
        return "(?![^\\n])";
      case "*":
      case "+":
      case "?":
        throw this.#unsupported("a quantifier without something to repeat");
      default:
        return this.#literal(character);
    }
  }

  #group(): string {
    const opening = groupOpenings.find((each) => this.#take(each)) ?? (this.#take("(") ? "(" : "");
    if (opening === "(" && this.#pattern[this.#at] === "?")
      throw this.#unsupported("this kind of group");
    const outside = this.#ignoreCase;
    if (opening === "(?i:") this.#ignoreCase = true;
    const body = this.#alternatives();
    this.#ignoreCase = outside;
    if (!this.#take(")")) throw this.#unsupported("an unclosed group");
    if (opening === "(?>") return this.#atomic(body);
    // Captures are of no use to a split, and would disturb the numbering of ours.
    return `${opening === "(" || opening === "(?i:" ? "(?:" : opening}${body})`;
  }

  /** One character that stands for itself. */
  #literal(character: string): string {
    const members = this.#folded(character);
    return members === escapeMember(character) && /[0-9A-Za-z ]/.test(character)
      ? character
      : `[${members}]`;
  }

  /** Class members that a literal character stands for, both cases under `(?i:…)`. */
  #folded(character: string): string {
    if (!this.#ignoreCase) return escapeMember(character);
    const lower = character.toLowerCase();
    const upper = character.toUpperCase();
    if (lower === upper) return escapeMember(character);
    if (!/^[A-Za-z]$/.test(character))
      throw this.#unsupported("ignored case of other letters than A to Z");
    return lower + upper + (extraFolds[lower] ?? "");
  }

  /** An escape after its backslash: as a class of its own, and the character if it is just one. */
  #escape(): { class: string; character?: string } {
    const character = this.#next();
    const known = namedEscapes[character];
    if (known !== undefined) return { class: `[${escapeMember(known)}]`, character: known };
    switch (character) {
      case "s":
        return { class: whiteSpace };
      case "S":
        return { class: `[^${whiteSpace}]` };
      case "d":
        return { class: unicodeClass("Nd") ?? "" };
      case "D":
        return { class: `[^${unicodeClass("Nd")}]` };
      case "p":
      case "P":
        return { class: this.#property(character === "P") };
      case "x":
      case "u":
        return this.#hexadecimal();
      default:
        if (/[0-9A-Za-z]/.test(character)) throw this.#unsupported(`\\${character}`);
        return { class: this.#literal(character), character };
    }
  }

  #property(negated: boolean): string {
    const match = /^\{(\^?)(\w+)\}/.exec(this.#pattern.slice(this.#at));
    const found = match?.[2] === undefined ? undefined : unicodeClass(match[2]);
    if (!match || found === undefined) throw this.#unsupported("a Unicode property");
    if (this.#ignoreCase && /^L[ult]$/.test(match[2] ?? ""))
      throw this.#unsupported("ignored case of \\p{L…}");
    this.#at += match[0].length;
    return negated !== (match[1] === "^") ? `[^${found}]` : found;
  }

  #hexadecimal(): { class: string; character: string } {
    const match = /^(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{4})|([0-9A-Fa-f]{2}))/.exec(
      this.#pattern.slice(this.#at),
    );
    const wide = this.#pattern[this.#at - 1] === "u";
    const digits = match?.[1] ?? (wide ? match?.[2] : (match?.[3] ?? match?.[2]?.slice(0, 2)));
    if (!match || digits === undefined) throw this.#unsupported("a hexadecimal escape");
    this.#at += match[1] === undefined ? digits.length : match[0].length;
    const character = String.fromCodePoint(parseInt(digits, 16));
    return { class: this.#literal(character), character };
  }

  /** A class after its `[`. */
  #class(): string {
    const negated = this.#take("^");
    const operands: string[] = [];
    let members = "";
    let first = true;
    for (; ; first = false) {
      if (this.#take("&&")) {
        operands.push(members);
        members = "";
      } else if (this.#pattern[this.#at] === "]" && !first) {
        this.#at++;
        break;
      } else members += this.#member();
    }
    operands.push(members);
    const [only = ""] = operands;
    const body = operands.length === 1 ? only : operands.map((each) => `[${each}]`).join("&&");
    return negated ? `[^${body}]` : `[${body}]`;
  }

  /** One member of a class: a character, a range, an escape or a nested class. */
  #member(): string {
    if (this.#pattern.startsWith("[:", this.#at)) throw this.#unsupported("a POSIX bracket");
    if (this.#take("[")) return this.#class();
    let from = this.#next();
    if (from === "\\") {
      const escape = this.#escape();
      if (escape.character === undefined) return escape.class;
      from = escape.character;
    }
    const range = /^-([^\]])/u.exec(this.#pattern.slice(this.#at));
    if (!range || this.#pattern.startsWith("-[", this.#at)) return this.#folded(from);
    this.#at++;
    let to = this.#next();
    if (to === "\\") {
      const escape = this.#escape();
      if (escape.character === undefined) throw this.#unsupported("a range up to a class");
      to = escape.character;
    }
    if (this.#ignoreCase) throw this.#unsupported("ignored case of a range");
    return `${escapeMember(from)}-${escapeMember(to)}`;
  }
}

const namedEscapes: Readonly<Record<string, string>> = {
  n: "\n",
  r: "\r",
  t: "\t",
  f: "\f",
  v: "\v",
  a: "\x07",
  e: "\x1b",
};

/** A character as it may stand in a class under flag `v`, where much punctuation is syntax. */
function escapeMember(character: string): string {
  return /^[0-9A-Za-z]$/.test(character)
    ? character
    : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}
