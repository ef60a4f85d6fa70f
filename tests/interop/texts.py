"""Texts on which tokenizers differ if anything in them differs."""
import random

WORDS = ["don't", "I'LL", "we're", "'tis", "naïve", "Straße", "façade", "e\u0301", "日本語", "한국어",
         "العربية", "हिन्दी", "ไทย", "Ελλάδα", "русский", "עברית", "👩‍👩‍👧‍👦", "🇩🇪", "🤖", "\u200b",
         "\u200d", "\ufeff", "\u00ad", "x\u0303", "1", "12", "007", "3.14", "1,234,567", "２３", "½", "²",
         "Ⅷ", "①", "٣٤", "v2.0b1", "a1b2", "!!", "...", "…", "—", "«»", "$^|~`<>=+", "#include",
         "if(x){", "};", "\\n", "/*", "://", "@", "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|im_",
         "|>", "<s>", "</s>", "the", "The", "THE", "of", "and", "internationalisation", "zzzzzzzz",
         "aAaA", "_x_y__"]
SPACES = [" ", "  ", "   ", "\t", "\n", "\n\n", " \n ", "\r\n", "\r", "\u00a0", "\u2003", "\u3000", "\u180e", "\u0085",
          "\u2028", "\x0b", "\x0c", "\x1f", "\x00", ""]


def awkward_texts(n):
    """n texts: each word and each space by itself, then random rows of both; the same at every call."""
    draw = random.Random(1)
    texts = ["", *SPACES[:-1], *WORDS, *(f"a{space}b" for space in SPACES)]
    texts += ["<|im_start|>user\nHi<|im_end|>\n", "x" * 3000]
    while len(texts) < n:
        texts.append("".join(draw.choice(WORDS) + draw.choice(SPACES) for _ in range(draw.randrange(1, 25))))
    return texts[:n]
