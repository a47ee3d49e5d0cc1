"""The embedded world: a procedural corpus of drawn people with known traits and planted, dialable bias.

Everything here is Pillow and NumPy; no file is read or written, and no drawing shows a real person.
"""

from generator.portraits.captions import VOCABULARY, describe, unknown_words, words
from generator.portraits.corpus import Batch, Corpus
from generator.portraits.rates import Rates
from generator.portraits.traits import OCCUPATIONS, Traits, tone_group

__all__ = [
    "OCCUPATIONS", "VOCABULARY", "Batch", "Corpus", "Rates", "Traits", "describe", "tone_group", "unknown_words",
    "words",
]  # fmt: skip
