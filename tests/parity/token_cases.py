"""Texts for the tokenizer goldens, and the corpus the toy tokenizers are trained on.

Everything invisible is written as an escape, so that an editor cannot change a case by normalising it.
"""

import random

# Every line is one document. Mixed-script words ("在apple工作", "neonсвет") make merges across scripts; the
# contractions, whitespace runs and emoji sequences make merges inside those kinds of piece.
CORPUS = """
A cat sleeping in sunlight. A cat sleeping on the warm stone wall, soft light, shallow depth of field.
A photo of a cat, a painting of a fox, a drawing of the old house by the sea.
a red circle on a blue background, a green square above a yellow triangle, two small black stars
The quick brown fox jumps over the lazy dog while the night train leaves the station.
masterpiece, best quality, highly detailed, cinematic lighting, 35mm film photograph, sharp focus
don't can't won't I'll we've they're you'd it's that's LET'S GO, I'M HERE, we'Ve
Portrait of an elderly woman with silver hair; she's smiling, wearing a dark blue woollen coat.
A sign that says "Hello, World!" in neon letters above the rainy street in the evening.
system user assistant user assistant think think You are a helpful assistant. Hello world, Hello there!
snake_case camelCase kebab-case dot.case (masterpiece:1.2), [photo|painting], {a|b}, <lora:name:0.8>
x=1; if (x > 0) { return x * 2; } else { return -x; } // comment ... ___ === !!! ???
一只可爱的猫咪在阳光下睡觉，超高清，电影感。
一只红色的狐狸在雪地里奔跑，远处是蓝色的山。
我想在apple工作一天，她在google工作。写实摄影，柔和的光线，8K画质。
穿着红色汉服的年轻女子，手持折扇，精致的刺绣，夜晚的灯光。
кошка спит на солнце, красная лиса бежит по снегу.
нещо на Български, neonсвет и старый дом у моря, старый город
한국의 고양이가 햇빛 아래서 자고 있다, 한글 간판, 한복을 입은 여자
日本の猫が窓のそばで眠っている。ネオンの看板、雨の夜。
café naïve Führer über Straße déjà vu crème brûlée \u00bfQué? \u00a1Hola! mañana Łódź český \u0130stanbul
\u0905\u0902\u0924\u0930\u093f\u0915\u094d\u0937 \u0915\u094d\u0937 \u0939\u093f\u0928\u094d\u0926\u0940
\u0628\u064a\u062a \u0642\u062f\u064a\u0645 \u05e9\u05dc\u05d5\u05dd \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 γάτα στον ήλιο
a cat \U0001f431 with \U0001f468\u200d\U0001f469\u200d\U0001f467 family \U0001f44d\U0001f3fdok
\U0001f601 \U0001f999.cpp \U0001f431\U0001f431 \U0001f98a\U0001f98a \u2764\ufe0f\U0001f525 \U0001f1ef\U0001f1f5
1st 2nd 3rd, 2024 1,000 \u00bd \u216b \u0663 8K 4k 16:9 f/1.4 0.5e-3 -42 12345678901234567890
\tand\ttabs  two  spaces   three    four\u00a0nbsp\u3000wide
""".strip("\n").split("\n") + [
    "next\r\n\r\n    indented\n\n", "user\nassistant\n", "system\nYes!\n\n", "light.\n", "light.\n\n\n", "x;\n    y;\n",
    " \n", "\t\n",
]

FRAME = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"


def _framed() -> list[str]:
    """The chat frames of the reference, section 2.9."""
    turn = FRAME.format
    cat = "A cat"
    return [
        turn(cat), turn(""), turn("A photo of a cat"), turn("A cat sleeping in sunlight"),
        turn("一只可爱的猫咪"),
        turn(cat) + "<think>\n\n</think>\n\n", turn(cat) + "<think>\nSoft light.\n</think>\n\n", turn(cat) + "<think>\n",
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n" + turn(cat),
        turn("Hi") + "<think>\n\n</think>\n\nHello!<|im_end|>\n",
        turn("\n\nfoo"), turn("foo\n\n"), turn(" "), turn("\n"), turn(" foo "), turn("\u0301foo"),
        turn("it's <|im_end|> it"),
    ]


# Plain texts of the reference, section 2.9 (both tables).
_REFERENCE = [
    "Hello world", " Hello world", "\n", "\n\n", "\n\n\n", "\t\n", " this is \U0001f999.cpp", "Führer",
    "ied 4 \u00bd months", "нещо на Български",
    "Hello, y'all! How are you \U0001f601 ?我想在apple工作1314151天\uff5e", "don't can't I'll we've",
    "  leading and   multiple spaces ", "123 4567 0.5e-3 -42", "()[]{}<>",
    "snake_case camelCase kebab-case dot.case", "It's the cat's LET'S y'All'Re \u2019s", "It's 2024: LET'S go!",
    "don't I'LL 'tis", 'A sign that says "Hello, World!" in neon', "line one\nline two\n\n  indented\n",
    "a\r\nb\r\n\r\nc", "a\tb\t\tc   d", "a\u00a0b\u3000c\u200bd", "cafe\u0301 café", "\u1112\u1161\u11ab 한",
    "2024 1,000 \u00bd \u216b \u0663 8K 4k", "\U0001f431",
    "a cat \U0001f431 with \U0001f468\u200d\U0001f469\u200d\U0001f467 family",
    "\U0001f44d\U0001f3fdok",
    "一只可爱的猫咪在阳光下睡觉，超高清，8K",
    "猫，睡觉。OK", "\u0915\u094d\u0937", "(masterpiece:1.2), [photo|painting], 35mm f/1.4", "x=1;\n\n  y",
    "___ ...\n\nfoo", "a <|im_end|> b <|im_end|><|endoftext|>", "<|im_start|>system<|im_end|>",
    "  two  spaces\n\n\tand\ttabs \n x", "\u00a1Hola! \u00bfQué?", "(cat:1.2), 8K", "1st 2nd", " 'RE ", " \u2019s",
    "LET'S", "",
]

# One hazard each.
_HAZARDS = [
    # Unicode normalisation: composing, reordering, singletons, exclusions; compatibility forms must stay.
    "A\u030a \u212b Å", "q\u0307\u0323 q\u0323\u0307", "\u1e9b\u0323", "\u2126 Ω \u212a K", "\u0958 \u0915\u093c",
    "\ufb01 \uff21\uff22\uff23 \u00b2",
    "e\u0301\u0301", "\u0344", "\u1100\u1161", "\u1100\u1161\u11a8\u11a8", "\uac00\u11a8", "\u1112\u1161 \u11ab",
    "\u3131\u314f", "\u1100\u1100\u1161",
    "\u03b1\u0313\u0301", "\U0001d15e", "\u304b\u3099", "\u0301", " \u0301a", "a\u0301b\u0301", "o\u0308\u0304 \u022b",
    "\u2adc \u0338",
    # Added tokens: each kind, in the middle of words, broken, overlapping, followed by a combining mark.
    "<think>\u0338", "<think>\u0338 then </think>\u0301x", "<tool_call>{}</tool_call>", "<tool_response>ok</tool_response>",
    "a<|vision_start|><|image_pad|><|vision_end|>b", "<|video_pad|><|vision_pad|>",
    "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|><|fim_pad|>",
    "<|repo_name|>r<|file_sep|>f",
    "<|object_ref_start|>x<|object_ref_end|><|box_start|>1,2<|box_end|><|quad_start|>q<|quad_end|>",
    "<|im_start|", "<|im_start|>>", "<<|im_end|>>", "<|im_end|><|im_end|> <|im_end|>\n", "< |im_end|>", "<|IM_END|>",
    "<|im_\u200bend|>",
    "can'<think>t", "x <think> y </think> z", "think</think>", "<think", "<|endoftext|>", "it <|im_start|>'s",
    "  <|im_end|>  ",
    # Contractions, with U+017F for s and other case foldings.
    "a'\u017fa", "'\u017f", "a'S a'T a'RE a'VE a'M a'LL a'D", "''s", "'ss", "'llama", "'r 'v 'l", "a\u2019s a\u02bcs",
    "it''s", "\u212a's '\u212a",
    "'s't're", "3's", "\n's", "'\u0130",
    # Line ends and white space, including the characters that look like white space and are not.
    "\r", "\r\n", "\n\r", "a\r\r\nb", " \r\n x", "a \n", "a  \n  b", "!\r\n\r\nx", "!\n\n\n y", "a\n\n\n\n\nb",
    "\n \n \n", "   ", "a    ", "    1",
    "a\u0085b", "a \u0085 b", "x\u00a0\u00a0y", "a\u180eb", "a \u180e b", "a\u200b\u200bb", "a\u2028b\u2029c",
    "a\u3000\u3000b", "a\u001cb", "a \u001c\u001d\u001e\u001f b",
    "\u1680\u2000\u200a\u202f\u205fx", "\ufeffa", "\u00ad-\u00ad", "\x00\x01\x7f", "\t\t\tx", "\x0b\x0c a",
    # Digits, long pieces, unassigned and private code points, all planes.
    "12345678901234567890" * 5, "3.14159265358979", "\u0663\u0664\u0665 \u0967\u0968 \u2167\u2460\u00b3\u00bc \U0001d7d8",
    "1a2b3c", "\uff11\uff12\uff13",
    "antidisestablishmentarianism" * 12, "猫" * 90, "\U0001f431" * 40, "=" * 70, "a" * 200, "абв" * 40, "e\u0301" * 60,
    "\ue000\U000f0000\U0010ffff\ufffd\ufffe", "\u0378\U0003fffd", "\U00020000\U00030000",
    "\U0001f1ef\U0001f1f5\U0001f1ef", "\u2764\ufe0f\u200d\U0001f525",
    "\U0001f3f4\U000e0067\U000e0062\U000e007f", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35",
    "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd", "\u0628\u064e\u064a\u0652\u062a", "\u01c5 \u02b0 \u00aa \u02bc",
    "neonсвет在apple한글", "$\u20ac\u00a3 \u00a9\u2122 \u2211\u222b \u2192", "_a __b -c --d .e",
    '"quoted" \u201cquoted\u201d \u300c猫\u300d',
]


def _mixes(count: int, seed: int = 20261) -> list[str]:
    """Pseudo-random joins of pieces of all other cases; half of them in the chat frame."""
    rng = random.Random(seed)
    pool = [text for text in _REFERENCE + _HAZARDS if 0 < len(text) <= 40]
    joins = ["", "", " ", "\n", "\r\n", "'", "\u0301", "<|im_end|>", "<think>", "\u3000", "7"]
    mixes = []
    for index in range(count):
        parts = []
        for _ in range(rng.randint(3, 7)):
            parts += [rng.choice(pool), rng.choice(joins)]
        mixes.append("".join(parts) if index % 2 else FRAME.format("".join(parts)))
    return mixes


def all_texts() -> list[str]:
    """Every short case once, in a fixed order."""
    return list(dict.fromkeys(_framed() + _REFERENCE + _HAZARDS + _mixes(12)))


# 10 000 characters each: an ordinary long prompt, and one single word (the worst case of a quadratic BPE loop).
LONG_TEXTS = [("A red fox, 狐狸! It's ", 500), ("unstopable", 1000)]
assert all(len(unit) * times == 10_000 for unit, times in LONG_TEXTS)

# Prompts for the text encoder goldens: short, Chinese with emoji, and a long one.
ENCODER_PROMPTS = [
    "A cat",
    "一只可爱的猫咪\U0001f431在阳光下睡觉",
    "Portrait of an old fox by the sea, she's wearing a blue coat, soft light, 35mm film.",
]
