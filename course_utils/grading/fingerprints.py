"""Fingerprints of a submission: short enough to keep, and comparable without the files.

    prints = code_prints(source, starter=starter_source)
    sketch = adapter_sketch([(name, A, B, scale), ...])
    likeness(prints, others), cosine(sketch, others)

Code and text: winnowing (Schleimer, Wilkerson and Aiken, SIGMOD 2003), the method of MOSS and of
the package copydetect. The package can't be used here: it hashes with Python's `hash`, which is
another in every process, so what it finds can't be kept beside a result; and its last release is of
March 2024. The words of a program come from Pygments.
"""

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from functools import lru_cache
from typing import TYPE_CHECKING

from course_utils.grading.results import Prints

if TYPE_CHECKING:
    import numpy as np

RUN, WINDOW = 12, 6  # tokens of code in a mark; a copied run of RUN + WINDOW - 1 is always found
WORDS, WORD_WINDOW = 6, 4  # the same for text, in words
LONGEST = 400_000  # characters that are looked at
NUMBERS = 512  # of a sketch
BLOCK = 8192  # sides of matrices that are projected at once: 17 MB of Gaussian numbers
MOST_SIDES = 3_000_000  # of all matrices, some ten seconds; a 70-billion model's first layers


def code_prints(source: str, starter: str = "") -> Prints:
    """Of a program: names of its own, comments, spaces and texts in quotes make no difference."""
    return _prints(_code_tokens(source), _known(_code_tokens, starter, RUN), RUN, WINDOW)


def text_prints(text: str, starter: str = "") -> Prints:
    """Of a text: words in order; capitals, punctuation and spaces make no difference."""
    return _prints(_words(text), _known(_words, starter, WORDS), WORDS, WORD_WINDOW)


@lru_cache(maxsize=8)  # what was handed out is the same for each file of a class
def _known(tokens_of: Callable[[str], list[str]], starter: str, run: int) -> frozenset[str]:
    """Every run of the starter, not only its marks: beside other text, others would be picked."""
    return frozenset(_runs(tokens_of(starter), run))


def _prints(tokens: list[str], known: Set[str], run: int, window: int) -> Prints:
    marks = set(_winnow(tokens, run, window))
    digest = hashlib.sha256("\x1f".join(tokens).encode("utf-8", "replace")).hexdigest()
    return Prints(digest=digest, marks=sorted(marks - known), size=len(marks))


def _runs(tokens: Sequence[str], run: int) -> Iterator[str]:
    """A digest of every `run` tokens in a row."""
    for at in range(len(tokens) - run + 1):
        text = "\x1f".join(tokens[at : at + run]).encode("utf-8", "replace")
        yield hashlib.blake2b(text, digest_size=6).hexdigest()


def _winnow(tokens: Sequence[str], run: int, window: int) -> Iterator[str]:
    """The smallest digest of every `window` runs: which ones does not depend on their place."""
    digests = list(_runs(tokens, run))
    for at in range(max(1, len(digests) - window + 1) if digests else 0):
        yield min(digests[at : at + window])


def _code_tokens(source: str) -> list[str]:
    from pygments.lexers.python import PythonLexer
    from pygments.token import Comment, Name, String, Text

    tokens = []
    for kind, value in PythonLexer().get_tokens(source[:LONGEST]):
        if kind in Text or kind in Comment or kind in String.Doc or not value.strip():
            continue
        own = kind in Name and kind not in Name.Builtin
        tokens.append("name" if own else "text" if kind in String else value)
    return tokens


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text[:LONGEST].casefold())


def likeness(left: Set[str], right: Set[str]) -> float:
    """The share of the smaller one's marks that the other has too; 0 where one has none."""
    least = min(len(left), len(right))
    return len(left & right) / least if least else 0.0


def adapter_sketch(
    layers: Iterable[tuple[str, "np.ndarray", "np.ndarray", float]],
) -> list[float]:
    """NUMBERS numbers of unit length whose cosine is nearly that of the adapters' changes.

    `layers`: (name, A (r, in), B (out, r), alpha / r). A layer changes its weight by scale * B A;
    each number is the sum over the layers of u B A v with Gaussian u and v that only depend on the
    layer's name and sizes. So adapters of different rank compare too, and so do two that split the
    same product differently into B and A. [] for an adapter that changes nothing.
    Layers come in one order: of a very large adapter only the first are looked at.
    """
    import numpy as np

    sketch, sides = np.zeros(NUMBERS), 0
    for name, a, b, scale in layers:
        sides += b.shape[0] + a.shape[1]
        if sides > MOST_SIDES:
            break
        key = f"{name} {b.shape[0]} {a.shape[1]}".encode()
        rng = np.random.default_rng(int.from_bytes(hashlib.sha256(key).digest()[:8]))
        sketch += scale * (_projected(b, rng) * _projected(a.T, rng)).sum(axis=1)
    length = float(np.linalg.norm(sketch))
    if not length or not math.isfinite(length):
        return []
    return [round(float(value), 6) for value in sketch / length]


def _projected(matrix: "np.ndarray", rng: "np.random.Generator") -> "np.ndarray":
    """Gaussian numbers (NUMBERS, n) times a matrix (n, r), in pieces: (NUMBERS, r)."""
    import numpy as np

    total = np.zeros((NUMBERS, matrix.shape[1]))
    for start in range(0, matrix.shape[0], BLOCK):
        piece = matrix[start : start + BLOCK].astype(np.float64)
        total += rng.standard_normal((NUMBERS, len(piece)), np.float32) @ piece
    return total


def cosine(left: Sequence[float], right: Sequence[float]) -> float:
    """Of two sketches; 0 where one is missing or of another size."""
    if not left or len(left) != len(right):
        return 0.0
    lengths = math.sqrt(sum(x * x for x in left) * sum(y * y for y in right))
    return sum(x * y for x, y in zip(left, right, strict=True)) / lengths if lengths else 0.0
