"""Writes server/text/unicode-tables.ts: where a JavaScript engine's Unicode differs from that of PyPI's `tokenizers`.

The library has three tables: it splits text with Oniguruma's (Unicode 16), normalises with that of a crate of 2019 and knows
punctuation by an even older one. Engines that run this project have Unicode 15.1 (Electron 29) to 17 (Node 20.20). The
tables make ids the same on all of them.

    python test/python/unicode_tables.py        # needs tokenizers, and a node on the path whose Unicode is >= 16
"""

import json
import subprocess
import unicodedata
from pathlib import Path

from tokenizers import Regex, normalizers
from tokenizers.pre_tokenizers import Punctuation, Split

LEAVES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So".split()
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def node(program, value):
    text = subprocess.run(["node", "-e", program], input=json.dumps(value), capture_output=True, check=True, text=True).stdout
    return json.loads(text)


READ = 'const input = JSON.parse(require("fs").readFileSync(0, "utf8"));'


def oniguruma(category):
    split = Split(Regex(rf"\p{{{category}}}"), "removed", invert=True)
    found = set()
    for at in range(0, len(CODE_POINTS), 4096):
        block = CODE_POINTS[at : at + 4096]
        for _, (begin, end) in split.pre_tokenize_str("".join(map(chr, block))):
            found.update(block[begin:end])
    return found


def engine():
    program = READ + """
      const result = {};
      for (const leaf of input) {
        const is = new RegExp(`^\\\\p{${leaf}}$`, "u");
        result[leaf] = [];
        for (let c = 0; c < 0x110000; c++) if (is.test(String.fromCodePoint(c))) result[leaf].push(c);
      }
      console.log(JSON.stringify(result))"""
    return {leaf: set(found) for leaf, found in node(program, LEAVES).items()}


def unknown_to_normalizers():
    """Code points that the engine decomposes or reorders and the library leaves alone, or the reverse."""

    def probes(c):
        # Alone, between marks of other classes (to see whether it is reordered), and decomposed.
        return [chr(c), f"a{chr(c)}\u0334", f"a\u0345{chr(c)}", f"a\u0323{chr(c)}"]

    found = set()
    for form in ["NFD", "NFKD", "NFC", "NFKC"]:
        library = getattr(normalizers, form)()
        texts = [text for c in CODE_POINTS for text in probes(c)]
        program = READ + f'console.log(JSON.stringify(input.map((text) => text.normalize("{form}"))))'
        for at, (text, theirs) in enumerate(zip(texts, node(program, texts))):
            if library.normalize_str(text) != theirs:
                found.add(CODE_POINTS[at // 4])
    # What the engine composes to one of these begins with a character that the library does not know either.
    program = READ + 'console.log(JSON.stringify(input.map((text) => text.normalize("NFD"))))'
    parts = node(program, [chr(c) for c in found])
    return found | {ord(text[0]) for text in parts if len(text) > 1}


def punctuation():
    split = Punctuation("removed")
    found = set()
    for c in CODE_POINTS:
        if not split.pre_tokenize_str(chr(c)):
            found.add(c)
    return found


def ranges(code_points):
    spans = []
    for c in sorted(code_points):
        if spans and spans[-1][1] == c - 1:
            spans[-1][1] = c
        else:
            spans.append([c, c])
    return " ".join(f"{a:x}" if a == b else f"{a:x}-{b:x}" for a, b in spans)


def old(category):
    # Python's own table is older than any engine's: what it lacks is a superset of what the engine may lack.
    return {c for c in CODE_POINTS if unicodedata.category(chr(c)) == category}


def entries(name, doc, table):
    lines = [f"/** {doc} */", f"export const {name}: Readonly<Record<string, string>> = {{"]
    for leaf, found in table.items():
        if found:
            lines.append(f'  {leaf}: "{ranges(found)}",')
    return [*lines, "};", ""]


def main():
    here = engine()
    there = {leaf: oniguruma(leaf) for leaf in LEAVES}
    print("oldest table: Unicode", unicodedata.unidata_version)
    marks = set().union(*(here[leaf] for leaf in LEAVES if leaf[0] == "P")) | {
        c for c in range(0x80) if not chr(c).isalnum() and 0x20 < c < 0x7F}
    known = punctuation()
    text = [
        "/**",
        " * Where the Unicode of JavaScript engines (15 to 17) differs from that of PyPI's tokenizers, as hexadecimal ranges.",
        " * Written by test/python/unicode_tables.py.",
        " */",
        "",
        *entries("added", "General categories: code points that an engine older than Unicode 16 may not know.",
                 {leaf: there[leaf] - (old(leaf) & here[leaf]) for leaf in LEAVES}),
        *entries("notYet", "General categories: what an engine newer than Unicode 16 counts to one, and Unicode 16 does not.",
                 {leaf: here[leaf] - there[leaf] for leaf in LEAVES}),
        "/** Code points that the library's normalizers do not know: they neither change nor combine there. */",
        f'export const notNormalized = "{ranges(unknown_to_normalizers())}";',
        "",
        "/** Punctuation that the library's Punctuation step does not know, and what only it knows. */",
        f'export const notPunctuation = "{ranges(marks - known)}";',
        f'export const alsoPunctuation = "{ranges(known - marks)}";',
        "",
    ]
    root = Path(__file__).resolve().parents[2]
    (root / "server/text/unicode-tables.ts").write_text("\n".join(text))


if __name__ == "__main__":
    main()
