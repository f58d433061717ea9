"""How the tokenizers library sees Unicode: which characters are letters and numbers, and which marks its NFC orders.

Writes data/golden_unicode.json, and prints the tables of common/tokenizer/reference_unicode.h: where the reference differs from
the libraries that the C++ tokenizer uses. Its split expression knows Unicode 16, its NFC only Unicode 9. Run it with Python 3.11,
whose `unicodedata` has the Unicode version of PCRE2 10.42 (14.0); needs `tokenizers` and `regex`.
"""

import json
import unicodedata
from pathlib import Path

import regex
from tokenizers import Regex, normalizers, pre_tokenizers

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
NFC, NFD = normalizers.NFC().normalize_str, normalizers.NFD().normalize_str

# Characters of canonical compositions younger than Unicode 9 (scripts of Unicode 13 and 16); the marks among them are found.
YOUNG_COMPOSITIONS = [
    0x11930, 0x11935, 0x11938, 0x105C9, 0x105D2, 0x105DA, 0x105E4, *range(0x11382, 0x11386), 0x1138B, 0x1138E, 0x11390, 0x11391,
    0x113B8, 0x113BB, 0x113C2, 0x113C5, *range(0x113C7, 0x113CA), *range(0x1611E, 0x16129), *range(0x16D63, 0x16D6B)]


def ranges(code_points, may_hold=lambda c: False):
    """Inclusive ranges over sorted code points; gaps are closed where `may_hold` accepts everything inside."""
    found = []
    for c in sorted(code_points):
        if found and all(may_hold(between) for between in range(found[-1][1] + 1, c)):
            found[-1][1] = c
        else:
            found.append([c, c])
    return found


def members(expression):
    """All code points that the reference's regular expressions take for `expression`."""
    split = pre_tokenizers.Split(Regex(expression), behavior="removed", invert=True)
    return {c for c in CODE_POINTS if split.pre_tokenize_str(chr(c))}


def probe(c):
    """A character between a mark of a high class and one of the lowest: shows where its own class sorts it."""
    return "q\u0345" + chr(c) + "\u0334"


def takes_part(c):
    """Whether the reference's NFC does anything with the character."""
    return NFC(probe(c)) != probe(c) or NFD(chr(c)) != chr(c)


def main():
    letters, numbers = members(r"\p{L}"), members(r"\p{N}")
    marks = [c for c in CODE_POINTS if not regex.match(r"\p{ccc=0}", chr(c))]
    parts = {ord(part) for c in CODE_POINTS for part in NFD(chr(c)) if NFD(chr(c)) != chr(c)}
    active = parts | {c for c in CODE_POINTS if takes_part(c)}
    young = {c for c in marks + YOUNG_COMPOSITIONS if c not in active}

    by_result = {}
    for c in marks:
        by_result.setdefault(NFC(probe(c)).replace(chr(c), "%"), []).append(c)
    golden = {"letters": ranges(letters), "numbers": ranges(numbers), "marks": {key: ranges(value) for key, value in by_result.items()}}
    text = json.dumps(golden, ensure_ascii=True, separators=(",", ":")).replace("]],", "]],\n")
    (Path(__file__).resolve().parent / "data" / "golden_unicode.json").write_text(text + "\n")

    print("Unicode of unicodedata:", unicodedata.unidata_version)
    for name, category, known in (("letters", "L", letters), ("numbers", "N", numbers)):
        missing = {c for c in known if unicodedata.category(chr(c))[0] != category}
        print(name, ", ".join(f"{{0x{a:X}, 0x{b:X}}}" for a, b in ranges(missing, known.__contains__)))
    print("barriers", ", ".join(f"{{0x{a:X}, 0x{b:X}}}" for a, b in ranges(young, lambda c: c not in active)))


if __name__ == "__main__":
    main()
