"""Makes small tokenizers of the published kinds, and what PyPI's `tokenizers` says about adversarial strings.

    pip install tokenizers sentencepiece; python test/python/tokenizer_goldens.py

Writes test/golden/tokenizers/strings.json and, for each kind, NAME.json (a tokenizer.json) and NAME.golden.json with,
per string, ids and offsets (UTF-16 code units: start and end of each token, one after the other).
"""

import io
import json
import random
from pathlib import Path

import sentencepiece
import tokenizers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "test/golden/tokenizers"

ENGLISH = """
The lighthouse keeper counted the lights of the harbour, one after another, and wrote the number down. There were
twenty-seven of them, as there had been yesterday and on the day before. "It's the same," he'd say, "and they'll
stay the same: they've nothing else to do, I'm sure." In 1984 the harbour had 19 lights; by 2021 there were 27, and
3.14159 is not 22/7. He didn't mind. She wouldn't have said so, but the sea was louder at night, and the gulls were not.
WE'RE HERE, IT'S LATE, THEY'VE GONE, YOU'LL SEE, I'D KNOW. def count(lights):\n    total = 0\n    for light in lights:
        total += 1\n    return total\n\nif __name__ == "__main__":\n\tprint(count([1, 2, 3]))\r\n
"""
OTHERS = """
Le gardien du phare comptait les lumières du port, l'une après l'autre, et notait le nombre où déjà il l'avait noté.
Der Leuchtturmwärter zählte die Lichter des Hafens: größer wurde ihre Zahl nicht, und süßer auch nicht.
Смотритель маяка считал огни гавани, один за другим, и записывал число. Их было двадцать семь.
灯台守は港の明かりを一つずつ数えて、その数を書き留めた。昨日と同じ二十七だった。 守塔人数着港口的灯光。
حارس المنارة يعد أضواء الميناء واحدا تلو الآخر. שומר המגדלור ספר את אורות הנמל. 등대지기는 항구의 불빛을 세었다.
प्रकाशस्तंभ का रखवाला बंदरगाह की बत्तियाँ गिनता था। Ο φύλακας μετρούσε τα φώτα του λιμανιού. 😀 👍🏽 🇫🇷 — “ja” … ½ ² ①
"""


def strings():
    fixed = [
        "", " ", "  ", "   ", "\n", "\r", "\r\n", "\n\n", "\n\n\n", "\t", "\t\t", " \n", "\n ", " \t \r\n ", "\u00a0", "a\u00a0b",
        "\u3000", "a\u3000b", "\u2003x", "\u200b", "a\u200bb", "\ufeff", "\ufeffabc", "a\ufeffb", "\x00", "\x00\x01\x02", "a\x00b",
        "\x04", "a\x04b", "!\x04!", "\x04\x06\x13", "x\x1d\x1d y", "\x7f", "\x85", "a\x85b", "\u2028", "a\u2028b\u2029",
        "Hello", " Hello", "Hello ", "  Hello  world  ", "hello world", "HELLO WORLD", "It's", "it's they'll we've I'd I'm you're",
        "IT'S THEY'LL WE'VE I'D I'M YOU'RE", "it\u2019s", "'s", "' s", "''s", "'S", "'\u017f", "'\u017f \u212a 'ſ", "don't", "DON'T",
        "0", "1", "12", "123", "1234", "12345678", " 1", " 12 ", "3.14159", "1,000,000.50", "١٢٣", "१२३", "²³¹", "½¼", "Ⅷ", "①②③", "x2y3z4", "2nd",
        "\U0001d7d8\U0001d7d9", "1\u06612", "a1b22c333d4444", "10:30pm", "+44 (0)555-0199",
        "é", "e\u0301", "e\u0301\u0323", "e\u0323\u0301", "\u0301", "\u0301e", " \u0301", "Ünïcödé", "Amélie", "Ame\u0301lie", "\u1e9b\u0323",
        "ﬁ", "ﬁn", "of\ufb03ce", "Å", "\u212b", "A\u030a", "Ω", "\u2126", "ǆ", "İ", "İstanbul", "ΣΊΣΥΦΟΣ", "Straße", "STRASSE", "ẞ", "ǅ",
        "각", "\u1100\u1161\u11a8", "\u1100\u1161", "\uac00\u11a8", "한국어", "\u0958", "\u0915\u093c", "क्षि", "\u09c7\u09be", "\u0b47\u0b3e",
        "q\u0307\u0323", "a\u0315\u0300\u05ae\u0062", "\u0f73\u0f74", "ｆｕｌｌ　ｗｉｄｔｈ", "ﾊﾝｶｸ", "㍿", "\ufdfa", "№", "™", "x²", "℃", "\u2460",
        "東京は日本の首都です。", "灯台守", "守塔人", "日本語 text 日本語", "日本。\n中国", "，。！？", "「灯」", "\U00020000\U0002a6d6", "𠮷野家",
        "😀", "😀😀", "a😀b", " 😀 ", "👍🏽", "👩\u200d👩\u200d👧\u200d👦", "🇫🇷🇩🇪", "❤️", "❤", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "1️⃣", "😀é日a",
        "שלום עולם", "مرحبا بالعالم", "שָׁלוֹם", "مُحَمَّد", "\u200f\u200e", "a \u202eb\u202c c", "עברית English עברית", "لا إله", "\u0627\u0653",
        "Привет, мир!", "Смотритель маяка", "ё", "е\u0308", "й", "и\u0306", "Ελλάδα", "Ο φύλακας", "ไทย", "ภาษาไทย", "தமிழ்", "მსოფლიო", "ԱՐԵՒ", "ᚠᚢᚦ",
        "\U00010400\U00010428", "𝔘𝔫𝔦", "𝓐bc", "\U0001f1e6", "\U0010ffff", "\ue000", "\ufffd", "\ufffc", "\ufff9", "\u0378", "\u0378a", "\u2fe0x", "\U000e0001",
        "\u1c89", "\ua7cb", "\ua7ce", "\u088f", "\U00010d50\U00010d4a", "\U0002ebf0", "\U000323b0", "\U00016ea0x", "\U0001e6c0", "\u20c1", "\U0001fae9", "\u0295a", "aʕbʖ",
        "\u07b9\u07fd\u064d\u07e9", "\U000105d2\u0307", "  \U00011a44  ", "a\U0001078a\U0001e05e", "word\ua7ce", "e\u0897\u0323", "x\u0c3c\u0334",
        "!!!", "?!", "...", "....", "—", "--", "---", "a--b", "(a)", "[b]", "{c}", "<d>", "a/b\\c", "\\n", "#include <stdio.h>", "x=1;y=2", "a_b__c", "@user #tag $5 100%",
        "https://example.com/a?b=c&d=e#f", "user@example.com", "C:\\dir\\file.txt", "foo(bar)[baz]{qux}", "a.b.c", "e.g.", "U.S.A.", "“quoted”", "‘x’", "«y»", "…", "·", "•", "a…b",
        "    indented", "\tindented", "  two\n    four\n\tt", "def f(x):\n    return x\n", "if a:\n\tb\n\n\n\tc", "trailing   ", "trailing\n", "trailing \n \n", "a\rb", "a\r\nb\r\n", "\r\r\n", "x\n\n\ny",
        "a  b   c    d     e", " \u00a0 ", "\u00a0\u00a0a", "\n\t\n", "a\x0bb\x0cc", "a \u3000 b", "  \n  ",
        "aaaaaaaaaaaaaaaaaaaa", "ababababababababab", "z" * 70, " " * 40, "\n" * 20, "é" * 25, "日" * 20, "😀" * 8, "-" * 40, "0" * 33, "\t" * 12, "a\u0301" * 12, "=" * 35,
        "TheLighthouseKeeper", "camelCaseWord", "snake_case_word", "ALLCAPSWord", "iPhone", "McDonald", "HTTPServer2", "lighthouse", "Lighthouses", "the the the", "thethethe",
        "counted the lights of the harbour, one after another", "It's the same, he'd say.", "twenty-seven of them\nas there had been",
        "▁", "▁▁", "▁a", "a▁b", " ▁ ", "Ġ", "Ġthe", "Ċ", "<0x0A>", "<unk>", "<s>", "</s>", "a<s>b", "<s> a", "<s>a</s>b", " <s> ", "<s", "s>", "<|endoftext|>", "a<|endoftext|>b", "<|endoftext|><|endoftext|>",
        "<|endoftext", "<|im_start|>user\nHi<|im_end|>\n", "<|begin_of_text|>Hi<|eot_id|>", "<bos>Hi", "<think>x</think>", "<mask>", "a <mask> b", "a<mask>b", " <mask>", "<mask> ", "\n<mask>\n", "<mask><mask>", " <mask> <mask> ",
        "<Name>", "a <Name> b", "<name>", "<NAME>", "x<Name>y", "word", "a word b", "words", "sword", "word.", "(word)", "WORD", "wordé", "word_", "<L>", "a  <L>b", "<R>  b", "a<R>b", "a <L> <R> b",
    ]
    rng = random.Random(11)
    pools = [range(0x20, 0x7F), range(0x20, 0x7F), range(0, 0x250), range(0x300, 0x370), range(0x400, 0x600), range(0x900, 0xD80), range(0x1100, 0x1200),
             range(0x2000, 0x2200), range(0x3040, 0x3100), range(0x4E00, 0x4F00), range(0xAC00, 0xAC80), range(0xFB00, 0xFB50), range(0x1F300, 0x1F680), range(0x10000, 0x10400)]
    for _ in range(60):
        fixed.append("".join(chr(rng.choice(rng.choice(pools))) for _ in range(rng.randint(2, 14))))
    return list(dict.fromkeys(fixed))


CORPUS = [line for text in (ENGLISH * 3, OTHERS) for line in text.split("\n")]
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
O200K = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])
DEEPSEEK = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
CL100K = r"(?i:[sdmt]|ll|ve|re)'|'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"


def special(content, **flags):
    return {"id": 0, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True, **flags}


def plain(content, **flags):
    return special(content, special=False, **flags)


def train(normalizer, pre_tokenizer, size, alphabet=(), limit=1000):
    tokenizer = Tokenizer(models.BPE())
    if normalizer:
        tokenizer.normalizer = normalizer
    if pre_tokenizer:
        tokenizer.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=list(alphabet), limit_alphabet=limit, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return json.loads(tokenizer.to_str())


def assemble(trained, added, model=None, before=(), drop=(), decoder=None, pre_tokenizer=None):
    """A tokenizer.json: `before` are tokens in front of the trained ones, `added` behind unless they are in there."""
    learned = trained["model"]
    kept = [t for t, _ in sorted(learned["vocab"].items(), key=lambda item: item[1]) if t not in drop]
    vocabulary = {token: at for at, token in enumerate(dict.fromkeys([*before, *kept]))}
    merges = [pair for pair in learned["merges"] if all(t in vocabulary for t in (*pair, "".join(pair)))]
    ids = dict(vocabulary)
    for token in added:
        token["id"] = ids.setdefault(token["content"], len(ids))
    result = {**trained, "added_tokens": sorted(added, key=lambda token: token["id"])}
    result["model"] = {**learned, "vocab": vocabulary, "merges": merges, **(model or {})}
    if decoder:
        result["decoder"] = json.loads(decoder.__getstate__())
    if pre_tokenizer:
        result["pre_tokenizer"] = pre_tokenizer
    return result


def byte_level(**options):
    return pre_tokenizers.ByteLevel(**{"add_prefix_space": False, **options})


def split(pattern):
    return pre_tokenizers.Split(Regex(pattern), "isolated")


def byte_level_kinds():
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    nothing_more = byte_level(use_regex=False)
    end = "<|endoftext|>"

    def make(normalizer, pre_tokenizer, added, **more):
        return assemble(train(normalizer, pre_tokenizer, 620, alphabet), added, decoder=decoders.ByteLevel(), **more)

    yield "gpt2", make(None, byte_level(), [special(end, normalized=True)])
    runs = [plain(" " * n, normalized=True) for n in range(8, 1, -1)]
    yield "pythia", make(normalizers.NFC(), byte_level(), [special(end), special("<|padding|>"), *runs])
    llama3 = pre_tokenizers.Sequence([split(LLAMA3), nothing_more])
    names = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    yield "llama3", make(None, llama3, [special(name) for name in names], model={"ignore_merges": True})
    qwen2 = pre_tokenizers.Sequence([split(QWEN2), nothing_more])
    yield "qwen2", make(normalizers.NFC(), qwen2, [special(end), special("<|im_start|>"), special("<|im_end|>"), plain("<think>"), plain("</think>")])
    # SmolLM2 lacks the tokens of 21 bytes.
    lacking = [0x04, 0x06, 0x13, 0x14, 0x16, 0x1D, 0xC0, 0xC1, 0xF1, 0xF2, *range(0xF5, 0x100)]
    spelled = {byte: byte_level(use_regex=False).pre_tokenize_str(chr(byte))[0][0] for byte in range(0x80)}
    lost = {spelled[byte] for byte in lacking if byte < 0x80} | {chr(byte) for byte in lacking if byte >= 0x80}
    smollm = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level()])
    yield "smollm", make(None, smollm, [special(end), special("<|im_start|>"), special("<|im_end|>")], drop=lost)
    deepseek = pre_tokenizers.Sequence([split(r"\p{N}{1,3}"), split("[一-龥\u3040-ゟ゠-ヿ]+"), split(DEEPSEEK), nothing_more])
    yield "deepseek", make(None, deepseek, [special("<s>"), special("</s>")])
    yield "o200k", make(None, pre_tokenizers.Sequence([split(O200K), nothing_more]), [special(end)])
    yield "cl100k", make(None, pre_tokenizers.Sequence([split(CL100K), nothing_more]), [special(end)])
    flags = [special("<mask>", lstrip=True), plain("<Name>", normalized=True), plain("word", single_word=True),
             plain("<L>", lstrip=True, normalized=True), plain("<R>", rstrip=True), special("<s>", lstrip=True, rstrip=True)]
    lower = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), normalizers.Strip()])
    yield "lowercase", make(lower, byte_level(add_prefix_space=True), flags)
    digits = pre_tokenizers.Sequence([pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.Digits(individual_digits=False), byte_level()])
    yield "punctuation", make(normalizers.NFD(), digits, [special(end)])


def sentencepiece_kinds():
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    mark = normalizers.Replace(" ", "▁")
    named = [special("<unk>"), special("<s>"), special("</s>")]
    before = ["<unk>", "<s>", "</s>", *byte_tokens]
    fallback = {"byte_fallback": True, "unk_token": "<unk>", "fuse_unk": True}

    def words(size=420, limit=150):
        # Trained on words with the mark in front, as sentencepiece does; the published files have no pre-split.
        return train(mark, pre_tokenizers.Metaspace(prepend_scheme="never", split=True), size, limit=limit)

    def back(*first):
        return decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *first])

    strip = decoders.Strip(" ", 1, 0)
    llama2 = {**words(), "normalizer": json.loads(normalizers.Sequence([normalizers.Prepend("▁"), mark]).__getstate__())}
    yield "llama2", assemble({**llama2, "pre_tokenizer": None}, named, fallback, before, decoder=back(strip))
    first = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
    yield "mistral", assemble({**words(), "normalizer": None}, json.loads(json.dumps(named)), fallback, before, decoder=back(strip), pre_tokenizer=first)
    gemma_added = [special("<pad>"), special("<eos>"), special("<bos>"), special("<unk>"), plain("<mask>"), plain("\n\n"), plain("\n\n\n"), plain("▁▁"), plain("▁▁▁"), plain("<table>")]
    gemma = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
    yield "gemma", assemble(words(), gemma_added, fallback, ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *byte_tokens], decoder=back(), pre_tokenizer=gemma)
    always = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    for name, fuse in [("unknown", False), ("unknown-fused", True)]:
        yield name, assemble({**words(limit=60), "normalizer": None}, [special("<unk>"), special("<s>", rstrip=True)], {"unk_token": "<unk>", "fuse_unk": fuse},
                             ["<unk>", "<s>"], decoder=decoders.Metaspace(), pre_tokenizer=always)


def utf16(text):
    at = [0]
    for character in text:
        at.append(at[-1] + (2 if ord(character) > 0xFFFF else 1))
    return at


def golden(tokenizer, texts):
    rows = []
    for text in texts:
        encoding = tokenizer.encode(text, add_special_tokens=False)
        at = utf16(text)
        rows.append({"ids": encoding.ids, "offsets": [at[edge] for span in encoding.offsets for edge in span],
                     "decoded": tokenizer.decode(encoding.ids, skip_special_tokens=False)})
    return rows


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=True, separators=(",", ":")) + "\n")


def write_rows(path, head, rows):
    lines = ",\n".join(json.dumps(row, ensure_ascii=True, separators=(",", ":")) for row in rows)
    path.write_text(json.dumps(head)[:-1] + ',"rows":[\n' + lines + "\n]}\n")


def sentencepiece_golden(texts):
    """A sentencepiece BPE model as llama.cpp's converter writes it to GGUF metadata, with sentencepiece's own ids."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([line.strip() for line in CORPUS if line.strip()]), model_writer=model, model_type="bpe", vocab_size=700,
        byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, allow_whitespace_only_pieces=True,
        split_digits=True, character_coverage=0.98, minloglevel=2)
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())

    def kind(at):
        # gguf.TokenType: 1 normal, 2 unknown, 3 control, 6 byte
        return 2 if processor.is_unknown(at) else 3 if processor.is_control(at) else 6 if processor.is_byte(at) else 1

    size = processor.get_piece_size()
    metadata = {
        "tokenizer.ggml.model": "llama", "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": [processor.id_to_piece(at) for at in range(size)],
        "tokenizer.ggml.scores": [processor.get_score(at) for at in range(size)],
        "tokenizer.ggml.token_type": [kind(at) for at in range(size)],
        "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2, "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.add_space_prefix": True,
    }
    # sentencepiece reads text of control tokens as text.
    rows = [{"text": text, "ids": processor.encode(text)} for text in texts if not any(c in text for c in ("<s>", "</s>", "<unk>"))]
    write_rows(OUT / "sentencepiece-gguf.json", {"metadata": metadata}, rows)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    texts = strings()
    write_rows(OUT / "strings.json", {"what": "adversarial strings of all goldens here"}, texts)
    for name, description in [*byte_level_kinds(), *sentencepiece_kinds()]:
        tokenizer = Tokenizer.from_str(json.dumps(description))
        write(OUT / f"{name}.json", description)
        write_rows(OUT / f"{name}.golden.json", {"tokenizers": tokenizers.__version__}, golden(tokenizer, texts))
        print(name, len(description["model"]["vocab"]), len(description["model"]["merges"]))
    sentencepiece_golden(texts)
    print(len(texts), "strings")


if __name__ == "__main__":
    main()
