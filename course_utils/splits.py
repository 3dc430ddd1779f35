"""What is the same or nearly the same: duplicates, near-duplicates and leak-free splits."""

import math
import random
import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from course_utils.errors import CourseError
from course_utils.schemas import detect_schema, schema_of

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def normalise(text: str) -> str:
    """Text for comparing: one Unicode form, lower case, single spaces. Punctuation stays."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def text_of(record: Mapping[str, str]) -> str:
    """The part of the prompt that tells records apart; duplicates are searched in it.

    Manufacturing records often share one instruction ("Turn this work order into ..."), so the
    input alone is compared, and the instruction only where the input is empty. In geology the
    instruction is the question itself, so it is compared together with its context.
    """
    instruction = record.get("instruction", "")
    if detect_schema(record) == "geology":
        return f"{instruction}\n{record.get('context', '')}".strip()
    text = record.get("input", "")
    return text if text.strip() else instruction


def prompt_of(record: Mapping[str, str], schema: str) -> tuple[str, str]:
    """(instruction, what it is about), normalised."""
    body = "context" if schema == "geology" else "input"
    return normalise(record["instruction"]), normalise(record.get(body, ""))


def prompt_key(record: Mapping[str, str], schema: str) -> tuple[str, ...]:
    """Prompts with the same key are the same prompt; the role that the model plays counts too."""
    role = record.get("system", "") if schema == "geology" else ""
    return (*prompt_of(record, schema), normalise(role))


def distinct(records: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The first record of each prompt."""
    first: dict[tuple[str, ...], dict[str, str]] = {}
    for record in records:
        first.setdefault(prompt_key(record, schema_of(record)), record)
    return list(first.values())


# ---------------------------------------------------------------------------------------------
# Near-duplicates
# ---------------------------------------------------------------------------------------------

NGRAM = 3  # characters
NEAR = 0.7
# Why 3: a work order has about 27 characters. One wrong letter spoils n of its n-grams: with n=3
# the similarity stays 0.8, above 0.7; with n=5 it falls to 0.65 and the typo would hide a
# duplicate. With n=2 too many different texts look alike.

_PERMUTATIONS = 126
_SIGMAS = 5


@lru_cache(maxsize=4096)
def _grams(text: str) -> frozenset[str]:
    """Character n-grams of a normalised text, with a space before and after it."""
    padded = f" {text} "
    return frozenset(padded[i : i + NGRAM] for i in range(len(padded) - NGRAM + 1))


def jaccard(a: str, b: str) -> float:
    """Shared character n-grams over all n-grams of two texts, normalised; 0..1, exact."""
    return _likeness(normalise(a), normalise(b))


def _likeness(a: str, b: str) -> float:
    """`jaccard` of two texts that are normalised already."""
    return 1.0 if a == b else _overlap(_grams(a), _grams(b))


def _overlap(left: frozenset[str], right: frozenset[str]) -> float:
    shared = len(left & right)
    union = len(left) + len(right) - shared
    return shared / union if union else 1.0


class _Sketches:
    """MinHash sketches of distinct, normalised texts, and indexes that find candidates by them.

    Locality-sensitive hashing: a pair of similarity s shares one of b bands of r hash values with
    probability 1 - (1 - s^r)^b. r is the largest for which a pair right at the threshold is missed
    less than once in a million: the exact count over a split must come out as 0, not as "few".
    """

    def __init__(self, texts: Sequence[str], threshold: float, seed: int = 0) -> None:
        self.made: list[Any] = []
        self.least = threshold - _SIGMAS * math.sqrt(threshold * (1 - threshold) / _PERMUTATIONS)
        if len(texts) <= 64:  # comparing all is quicker than hashing
            return
        import zlib

        import numpy as np
        from datasketch import MinHash

        self.rows = max(
            r for r in range(1, 17)
            if r == 1 or (1 - threshold**r) ** (_PERMUTATIONS // r) < 1e-6
        )  # fmt: skip
        # crc32 tells all n-grams of up to 4 bytes apart, and is quicker than the default SHA-1
        self.made = list(
            MinHash.generator(
                ([gram.encode("utf-8", "surrogatepass") for gram in _grams(t)] for t in texts),
                num_perm=_PERMUTATIONS,
                seed=seed,
                hashfunc=zlib.crc32,
            )
        )
        self.values = np.array([sketch.hashvalues for sketch in self.made])  # (texts, 126)

    def alike(self, text: int, others: list[int]) -> list[int]:
        """Those of the others whose sketch agrees enough: quicker than comparing n-grams.

        The share of equal values estimates the similarity; five standard errors below the
        threshold, a near text is missed less than once in a million.
        """
        agreeing = (self.values[others] == self.values[text]).mean(axis=1)
        return [other for other, share in zip(others, agreeing, strict=True) if share >= self.least]

    def new_index(self) -> "_Index":
        return _Index(self)


class _Index:
    """Texts inserted so far, by number; a query gives those that may be near: verify them."""

    def __init__(self, sketches: _Sketches) -> None:
        self.sketches = sketches
        self.inserted: list[int] = []
        self.hashed: Any = None
        if sketches.made:
            from datasketch import MinHashLSH

            bands = (_PERMUTATIONS // sketches.rows, sketches.rows)
            self.hashed = MinHashLSH(num_perm=_PERMUTATIONS, params=bands)

    def insert(self, text: int) -> None:
        if self.hashed is not None:
            self.hashed.insert(text, self.sketches.made[text], check_duplication=False)
        else:
            self.inserted.append(text)

    def query(self, text: int) -> list[int]:
        if self.hashed is not None:
            candidates = sorted(self.hashed.query(self.sketches.made[text]))
            return self.sketches.alike(text, candidates) if candidates else []
        return self.inserted


def _earlier_candidates(
    texts: Sequence[str], threshold: float, seed: int = 0
) -> Iterator[tuple[int, list[int]]]:
    """For each of the distinct, normalised texts: earlier ones that may be near; verify them."""
    index = _Sketches(texts, threshold, seed).new_index()
    for i in range(len(texts)):
        yield i, list(index.query(i))
        index.insert(i)


def check_threshold(threshold: float) -> None:
    number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
    if not number or not 0 < threshold <= 1:
        raise CourseError(
            f"the near-duplicate threshold is {threshold!r}",
            "Give a number: a similarity above 0, up to 1 (usual: 0.7).",
        )


def near_duplicate_groups(
    texts: Sequence[str], threshold: float = NEAR, seed: int = 0
) -> list[int]:
    """Group number of each text, counted from 0 in order of appearance.

    Texts are in one group if a chain of pairs of Jaccard similarity >= threshold joins them.
    Candidates come from MinHash, each is verified exactly, so `seed` does not show in the result.
    """
    check_threshold(threshold)
    plain = [normalise(text) for text in texts]
    distinct = list(dict.fromkeys(plain))
    parent = list(range(len(distinct)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, candidates in _earlier_candidates(distinct, threshold, seed):
        for j in candidates:  # joined already: nothing to verify
            if root(i) != root(j) and jaccard(distinct[i], distinct[j]) >= threshold:
                parent[max(root(i), root(j))] = min(root(i), root(j))
    numbers: dict[int, int] = {}
    group = {text: numbers.setdefault(root(i), len(numbers)) for i, text in enumerate(distinct)}
    return [group[text] for text in plain]


def overlap(
    parts: Mapping[str, Sequence[Mapping[str, str]]], threshold: float = NEAR
) -> dict[str, object]:
    """Duplicates ACROSS parts, counted by comparing every pair of records, without hashing.

    Returns {"threshold", "compared": pairs of records, "exact", "near": pairs that are not exact,
    "groups": values of `group` in more than one part, "pairs": {"train/val": {"exact", "near"}}}.
    """
    check_threshold(threshold)
    texts = {name: [normalise(text_of(r)) for r in records] for name, records in parts.items()}
    matrices = dict(zip(texts, incidence(*texts.values()), strict=True))
    names = list(texts)
    pairs = {}
    for k, a in enumerate(names):
        for b in names[k + 1 :]:
            left, right = Counter(texts[a]), Counter(texts[b])
            exact = sum(n * right[text] for text, n in left.items())
            close = sum(map(len, _close_rows(matrices[a], matrices[b], threshold)))
            pairs[f"{a}/{b}"] = {"exact": exact, "near": close - exact}
    inside = [{r["group"] for r in records if r.get("group")} for records in parts.values()]
    sizes = [len(records) for records in parts.values()]
    return {
        "threshold": threshold,
        "compared": (sum(sizes) ** 2 - sum(n * n for n in sizes)) // 2,
        "exact": sum(pair["exact"] for pair in pairs.values()),
        "near": sum(pair["near"] for pair in pairs.values()),
        "groups": sum(n > 1 for n in Counter(g for part in inside for g in part).values()),
        "pairs": pairs,
    }


def close_to(
    records: Sequence[Mapping[str, str]],
    others: Sequence[Mapping[str, str]],
    threshold: float = NEAR,
) -> set[int]:
    """Indices of the records that are exact or near duplicates of one of the others."""
    check_threshold(threshold)
    left, right = incidence(*([normalise(text_of(r)) for r in part] for part in (records, others)))
    return {row for rows in _close_rows(left, right, threshold) for row in rows}


def _close_rows(a: "csr_matrix", b: "csr_matrix", threshold: float) -> Iterator[Sequence[int]]:
    """The row of `a` of every pair whose Jaccard similarity is >= threshold, a block at a time.

    Both are matrices of one call of `incidence`.
    """
    import numpy as np

    size_a, size_b = np.diff(a.indptr), np.diff(b.indptr)
    turned = b.T.tocsr()  # once: each product would turn it anew
    for start in range(0, a.shape[0], 512):  # rows at a time, to bound the memory
        shared = (a[start : start + 512] @ turned).tocoo()  # (512, rows of b) common n-grams
        union = size_a[start + shared.row] + size_b[shared.col] - shared.data
        yield (start + shared.row)[shared.data / union >= threshold].tolist()
    # Texts without any n-gram (empty) share no entry above, yet are equal to each other.
    empty = np.flatnonzero(size_a == 0).tolist()
    yield empty * int((size_b == 0).sum())


def incidence(*parts: Sequence[str]) -> list["csr_matrix"]:
    """Sparse 0/1 matrices (texts of a part, n-grams), with the same column for an n-gram in all."""
    import numpy as np
    from scipy.sparse import csr_matrix

    vocabulary: dict[str, int] = {}
    rows: list[tuple[list[int], list[int]]] = []
    for texts in parts:
        columns: list[int] = []
        ends = [0]
        for text in texts:
            columns += [vocabulary.setdefault(gram, len(vocabulary)) for gram in _grams(text)]
            ends.append(len(columns))
        rows.append((columns, ends))
    return [
        csr_matrix(
            (np.ones(len(columns), dtype=np.int32), columns, ends),
            shape=(len(ends) - 1, len(vocabulary)),
            dtype=np.int32,
        )
        for columns, ends in rows
    ]


_CROWD = 50  # near copies of one prompt that are kept to compare with; the next are near the first


class _Seen:
    """Prompts seen so far; finds those whose text is near to a new one's."""

    def __init__(
        self, grams: Sequence[frozenset[str]], sketches: "_Sketches", threshold: float
    ) -> None:
        self.grams, self.threshold = grams, threshold
        self.index = sketches.new_index()
        self.members: dict[int, list[int]] = {}

    def add(self, text: int, prompt: int) -> None:
        if text not in self.members:
            self.index.insert(text)
        self.members.setdefault(text, []).append(prompt)

    def like(self, text: int) -> Iterator[tuple[int, float]]:
        """(prompt, similarity of the texts), earliest text first."""
        mine = self.grams[text]
        low, high = len(mine) * self.threshold, len(mine) / self.threshold
        for other in self.index.query(text) if self.members else ():
            if not low <= len(self.grams[other]) <= high:
                continue  # too much longer to be near
            similarity = _overlap(mine, self.grams[other])
            if similarity >= self.threshold:
                yield from ((prompt, similarity) for prompt in self.members[other])


SHARED_RUN = 4  # words
SHARED_BY = 0.01  # of the texts
SHARED_LEAST = 20  # texts
# A run of four words that twenty prompts (or one in a hundred) hold is the wording of the task,
# not what a record is about: "Turn the work order into JSON: <order>". It would make all prompts
# look alike.


def without_shared_words(texts: Sequence[str]) -> list[str]:
    """The texts without runs of words that many of them share; a text with nothing else stays.

    A sentence that all prompts hold made every pair of them a candidate: 2,376 records took a
    minute, and nearly every record was called a near-duplicate of another.
    """
    least = max(SHARED_LEAST, SHARED_BY * len(texts))
    split = [text.split() for text in texts]
    counts = Counter(run for words in split for run in set(_runs(words)))
    shared = {run for run, n in counts.items() if n >= least}
    rests = []
    for text, words in zip(texts, split, strict=True):
        covered = {
            i + k for i, run in enumerate(_runs(words)) if run in shared for k in range(SHARED_RUN)
        }
        rest = " ".join(word for i, word in enumerate(words) if i not in covered)
        rests.append(rest if len(rest) >= 8 else text)
    return rests


def _runs(words: Sequence[str]) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + SHARED_RUN]) for i in range(len(words) - SHARED_RUN + 1)]


def near_prompts(
    prompts: Sequence[tuple[str, str]],
    number_others: int,
    threshold: float,
    progress: Callable[[int, int], None] | None = None,
) -> dict[tuple[int, bool], tuple[int, float]]:
    """(prompt, is it one of the others) -> (an earlier near prompt, similarity); one each.

    Both halves of a prompt must be near: a shared instruction, or a shared context, alone makes
    no duplicate, and neither does a task sentence that many prompts begin or end with (see
    `without_shared_words`). Candidates come from the half with more different texts, so that an
    instruction that all records share costs nothing. The first `number_others` prompts are of
    other files. `progress(done, all)` is told now and then.
    """
    side = 0 if len({p[0] for p in prompts}) > len({p[1] for p in prompts}) else 1
    rests = without_shared_words([prompt[side] for prompt in prompts])
    distinct = {text: v for v, text in enumerate(dict.fromkeys(rests))}
    sketches = _Sketches(list(distinct), threshold)
    grams = [_grams(text) for text in distinct]
    own, others = _Seen(grams, sketches, threshold), _Seen(grams, sketches, threshold)
    found: dict[tuple[int, bool], tuple[int, float]] = {}
    crowd: Counter[int] = Counter()
    for i, rest in enumerate(rests):
        if progress and i % 100 == 0:
            progress(i, len(rests))
        if i < number_others:
            others.add(distinct[rest], i)
            continue
        for seen in (own, others):
            for j, similarity in seen.like(distinct[rest]):
                similarity = min(similarity, *map(_likeness, prompts[i], prompts[j]))
                if similarity >= threshold:
                    found[i, seen is others] = (j, similarity)
                    break
        crowd[found.get((i, False), (i,))[0]] += 1
        if crowd[found.get((i, False), (i,))[0]] <= _CROWD:
            own.add(distinct[rest], i)
    if progress:
        progress(len(rests), len(rests))
    return found


# ---------------------------------------------------------------------------------------------
# Splits
# ---------------------------------------------------------------------------------------------


def split_by_group(
    records: Sequence[dict], groups: Sequence[Hashable], sizes: Mapping[str, int], seed: int
) -> dict[str, list[dict]]:
    """Parts of the wanted sizes with each group whole in one part; the rest is left out.

    The smallest part is filled first, with groups in an order drawn from `seed`; a group that
    would overshoot is passed by. Sizes come out exactly wherever whole groups allow it.
    """
    if len(groups) != len(records):
        raise CourseError(
            f"{len(records)} records but {len(groups)} group numbers", "Give one for each record."
        )
    if sum(sizes.values()) > len(records) or min(sizes.values(), default=0) < 0:
        raise CourseError(
            f"{sum(sizes.values())} records are wanted ({dict(sizes)}), there are {len(records)}",
            "Ask for fewer records, or bring more data.",
        )
    members: dict[Hashable, list[dict]] = {}
    for record, group in zip(records, groups, strict=True):
        members.setdefault(group, []).append(record)
    order = list(members)
    random.Random(seed).shuffle(order)
    parts: dict[str, list[dict]] = {name: [] for name in sizes}
    for name in sorted(sizes, key=lambda part: sizes[part]):
        chosen = _fill([len(members[group]) for group in order], sizes[name])
        parts[name] = [record for i in chosen for record in members[order[i]]]
        taken = set(chosen)
        order = [group for i, group in enumerate(order) if i not in taken]
    return parts


def _fill(sizes: Sequence[int], target: int) -> list[int]:
    """Positions of the groups to take so that their sizes add up to target, or nearly."""
    chosen, left = [], target
    for i, size in enumerate(sizes):
        if size <= left:
            chosen.append(i)
            left -= size
    if left == 0 or len(sizes) * target > 2e9:  # the search below would need that many bits
        return chosen
    # Bit s of reachable[i]: groups i, i+1, ... can add up to s. Then take, in the given order,
    # every group that leaves the rest reachable.
    reachable = [1]
    for size in reversed(sizes):
        reachable.append((reachable[-1] | reachable[-1] << size) & ((2 << target) - 1))
    reachable.reverse()
    chosen, left = [], reachable[0].bit_length() - 1
    for i, size in enumerate(sizes):
        if size <= left and reachable[i + 1] >> (left - size) & 1:
            chosen.append(i)
            left -= size
    return chosen
