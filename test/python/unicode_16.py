"""Writes server/text/unicode-16.ts: where general categories of Unicode 16 differ from those of a JavaScript engine.

PyPI's `tokenizers` splits text with Oniguruma, whose tables are Unicode 16. Engines that run this project have
Unicode 15.1 (Electron 29) to 17 (Node 20.20). The table makes the split the same on all of them.

    python test/python/unicode_16.py        # needs tokenizers, and a node on the path whose Unicode is >= 16
"""

import json
import subprocess
import unicodedata
from pathlib import Path

from tokenizers import Regex
from tokenizers.pre_tokenizers import Split

LEAVES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So".split()
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def oniguruma(category):
    split = Split(Regex(rf"\p{{{category}}}"), "removed", invert=True)
    found = set()
    for at in range(0, len(CODE_POINTS), 4096):
        block = CODE_POINTS[at : at + 4096]
        for _, (begin, end) in split.pre_tokenize_str("".join(map(chr, block))):
            found.update(block[begin:end])
    return found


def engine():
    program = """
      const leaves = JSON.parse(process.argv[1]), result = {};
      for (const leaf of leaves) {
        const is = new RegExp(`^\\\\p{${leaf}}$`, "u");
        result[leaf] = [];
        for (let c = 0; c < 0x110000; c++) if (is.test(String.fromCodePoint(c))) result[leaf].push(c);
      }
      console.log(JSON.stringify(result))"""
    text = subprocess.run(["node", "-e", program, json.dumps(LEAVES)], capture_output=True, check=True).stdout
    return {leaf: set(found) for leaf, found in json.loads(text).items()}


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


here = engine()
there = {leaf: oniguruma(leaf) for leaf in LEAVES}
print("oldest table: Unicode", unicodedata.unidata_version)
text = [
    "/**",
    " * General categories of Unicode 16 against those of JavaScript engines with Unicode 15 to 17, as hexadecimal ranges.",
    " * Written by test/python/unicode_16.py from the tables of PyPI's tokenizers.",
    " */",
    "",
    *entries("added", "Code points of a category that an engine older than Unicode 16 may not know.",
             {leaf: there[leaf] - (old(leaf) & here[leaf]) for leaf in LEAVES}),
    *entries("notYet", "Code points that an engine newer than Unicode 16 counts to a category, and Unicode 16 does not.",
             {leaf: here[leaf] - there[leaf] for leaf in LEAVES}),
]
root = Path(__file__).resolve().parents[2]
(root / "server/text/unicode-16.ts").write_text("\n".join(text))
