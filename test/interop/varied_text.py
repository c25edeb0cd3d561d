"""Lines of varied Unicode: text of many scripts, code, numbers, white space, combining marks, and arbitrary code points."""

import random
import unicodedata

WORDS = (
    "the whale Call me Ishmael don't we'LL I'M they'Ve x'S naïve café ﬁ ß İstanbul ſ ΣΊΣΥΦΟΣ Ⅷ x² ½ snake_case camelCase "
    "HTTPServer 3.14 1,000 1234567 ٣٤٥ ४५६ return if(x!=y){ }); // /* */ == <div> </s> <s> <unk> <0x0A> [INST] <|im_start|> "
    "<|endoftext|> <|begin_of_text|> ▁word Ġword שָׁלוֹם عليكم مرحبا हिन्दी नमस्ते ไทย น้ำตก 한국어 스마트 東京は夜の七時 中文 你好，世界。 "
    "𑀓𑀺𑀓 𝒳𐍈 🜁 👩‍👩‍👧‍👦 🇩🇪 🏴‍☠️ 🐋🐋 ☠️ e\u0301 a\u0323\u0307 \u1100\u1161\u11a8 가\u11a8 が ｶﾞ ﾀﾞ Å Ω ﷺ ™ … “quotes” ‘it’s’ "
    "https://example.org/a?b=c&d=1#e user@example.org C:\\\\path $1.50 50% #tag @name"
).split(" ")
SPACES = [" "] * 12 + ["  ", "   ", "\n", "\n\n", "\r\n", " \n", "\n ", "\t", "\t\t", "", "\u00a0", "\u3000", "\u2003", "\u0085", "\u2028"]
# Mostly assigned code points of each plane; surrogates cannot be encoded.
PLANES = [(0x20, 0x7F), (0x80, 0x250), (0x250, 0x2000), (0x2000, 0x3100), (0x3100, 0xD800), (0xE000, 0x10000),
          (0x10000, 0x18000), (0x1D000, 0x1FB00), (0x20000, 0x32000), (0x0, 0x20), (0x300, 0x370), (0xE0000, 0xE0200)]  # fmt: skip


def lines(count, seed=1, unassigned=True):
    """`count` lines; without unassigned code points if the Unicode versions of two libraries are not to matter."""
    draw = random.Random(seed)

    def character():
        while True:
            first, end = draw.choice(PLANES)
            one = chr(draw.randrange(first, end))
            if unassigned or unicodedata.category(one) != "Cn":
                return one

    for _ in range(count):
        parts = []
        for _ in range(draw.randrange(1, 12)):
            kind = draw.random()
            if kind < 0.6:
                parts.append(draw.choice(WORDS))
            elif kind < 0.75:
                parts.append("".join(character() for _ in range(draw.randrange(1, 6))))
            elif kind < 0.9:
                parts.append("".join(draw.choice("abcXYZ019 '._-\n\r\té世▁<>|") for _ in range(draw.randrange(1, 12))))
            else:
                parts.append(draw.choice(WORDS).upper())
            parts.append(draw.choice(SPACES))
        yield "".join(parts)
