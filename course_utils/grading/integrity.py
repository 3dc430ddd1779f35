"""The integrity report: what in a class looks copied, or not as it is said to be.

It compares fingerprints and reports; it never deducts. Each finding has an innocent explanation,
which stands in its message (`course explain integrity.adapter_same`): a person has to ask.
"""

from collections import Counter
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import combinations

from course_utils.grading.finding import MESSAGES, say
from course_utils.grading.fingerprints import cosine, likeness
from course_utils.grading.results import Prints, Result
from course_utils.messages import Said

# Measured on nano: two seeds give 0.3 to 0.5; one seed and the same records with other steps or
# another rate up to 0.93, which is honest. Noise of a tenth of the adapter's own length leaves
# 0.995, of a fifth 0.98.
NEAR_ADAPTER = 0.97
NEAR_CODE, NEAR_TEXT = 0.6, 0.5  # shares of the smaller one's marks
TITLES = {  # kind -> the heading it stands under
    "integrity.adapter_same": "The same adapter",
    "integrity.adapter_near": "Nearly the same adapter",
    "integrity.copied_same": "The same file",
    "integrity.copied_code": "Code that two share",
    "integrity.copied_text": "Text that two share",
    "integrity.test_known": "Trained on the test part",
    "integrity.stated": "Figures that do not come out again",
    "integrity.untouched": "Still the starter",
    "integrity.hollow": "Complete in form only",
}
HOLLOW = {  # a warning of the quick check -> what it found
    "hollow.nano": "an adapter of nano, the model for trying out",
    "hollow.zero": "scores of nothing but 0",
    "hollow.solution": "marks of the reference solution",
    "hollow.starter": "files still the starter's",
}
LEAST_MARKS = 15  # below, two small scripts are alike by themselves
COMMON_SHARE, COMMON_LEAST = 0.25, 5  # marks of so many submissions are everybody's: quotes, idioms
# The loss on one's own test part, less than this share of that on new records, and by this much:
# some dozen records a side, so by many standard errors too.
LOSS_SHARE, LOSS_STEP, LOSS_ERRORS = 0.6, 0.1, 4.0  # of a loss, nats a token, standard errors
LOSS_ERROR = 0.075  # nats a token, where none was measured


@dataclass(frozen=True)
class Suspicion:
    """One finding about one submission or two; the strongest of its kind come first."""

    kind: str  # the ID of its message
    submissions: tuple[str, ...]
    said: Said
    strength: float = 1.0
    place: str = ""  # a file, or the name of a figure


def suspicions(results: Sequence[Result]) -> list[Suspicion]:
    """All findings of a class, by kind, strongest first."""
    found = [*_adapters(results), *_copies(results, "code"), *_copies(results, "text")]
    for result in results:
        found += _alone(result)
    order = list(MESSAGES.known)
    return sorted(found, key=lambda own: (order.index(own.kind), -own.strength, own.submissions))


# --- Two submissions ----------------------------------------------------------------------------


def _adapters(results: Sequence[Result]) -> Iterator[Suspicion]:
    for left, right in combinations(results, 2):
        pair, one, two = _pair(left, right), left.integrity, right.integrity
        if one.adapter and one.adapter == two.adapter:
            yield Suspicion("integrity.adapter_same", pair, say("integrity.adapter_same"))
            continue
        near = cosine(one.sketch, two.sketch)
        if near >= NEAR_ADAPTER:
            said = say("integrity.adapter_near", cosine=near)
            yield Suspicion("integrity.adapter_near", pair, said, near)


def _pair(left: Result, right: Result) -> tuple[str, str]:
    return left.submission, right.submission


def _copies(results: Sequence[Result], kind: str) -> Iterator[Suspicion]:
    """Files of two submissions that are alike, each pair of files of the same name once."""
    near = NEAR_CODE if kind == "code" else NEAR_TEXT
    for name in sorted({name for result in results for name in getattr(result.integrity, kind)}):
        own = [
            (result, getattr(result.integrity, kind)[name])
            for result in results
            if name in getattr(result.integrity, kind)
        ]
        common = _common([prints for _, prints in own])
        for (left, one), (right, two) in combinations(own, 2):
            yield from _alike(kind, name, _pair(left, right), (one, two), common, near)


def _common(prints: Sequence[Prints]) -> Set[str]:
    """Marks that so many submissions have that they tell nothing of two of them."""
    counts = Counter(mark for own in prints for mark in own.marks)
    most = max(COMMON_LEAST, COMMON_SHARE * len(prints))
    return {mark for mark, count in counts.items() if count > most}


def _alike(
    kind: str,
    name: str,
    pair: tuple[str, str],
    prints: tuple[Prints, Prints],
    common: Set[str],
    near: float,
) -> Iterator[Suspicion]:
    one, two = prints
    if min(len(one.marks), len(two.marks)) < LEAST_MARKS:  # the starter's, or hardly anything
        return
    if one.digest == two.digest:
        said = say("integrity.copied_same", file=name)
        yield Suspicion("integrity.copied_same", pair, said, 1.0, name)
        return
    left, right = set(one.marks) - common, set(two.marks) - common
    share = likeness(left, right)
    if share < near or min(len(left), len(right)) < LEAST_MARKS:
        return
    if kind == "code":
        said = say("integrity.copied_code", file=name, share=share)
        yield Suspicion("integrity.copied_code", pair, said, share, name)
    else:
        said = say("integrity.copied_text", file=name, share=share)
        yield Suspicion("integrity.copied_text", pair, said, share, name)


# --- One submission -----------------------------------------------------------------------------


def _alone(result: Result) -> Iterator[Suspicion]:
    own, who = result.integrity, (result.submission,)
    if own.test_loss is not None and own.new_loss is not None and _known(own):
        said = say("integrity.test_known", test=own.test_loss, new=own.new_loss)
        yield Suspicion("integrity.test_known", who, said, own.new_loss - own.test_loss)
    for figure in own.stated:
        if not figure.agrees:
            values = {"name": figure.name, "stated": figure.stated, "found": figure.found}
            said = say("integrity.stated", **values)
            yield Suspicion("integrity.stated", who, said, place=figure.name)
    if own.untouched:
        said = say("integrity.untouched", names=", ".join(own.untouched))
        yield Suspicion("integrity.untouched", who, said, len(own.untouched))
    if own.hollow:
        named = ", ".join(HOLLOW.get(name, name) for name in own.hollow)
        said = say("integrity.hollow", names=named)
        yield Suspicion("integrity.hollow", who, said, len(own.hollow))


def _known(own) -> bool:
    gap = own.new_loss - own.test_loss
    error = LOSS_ERROR if own.loss_error is None else own.loss_error
    least = max(LOSS_STEP, LOSS_ERRORS * error)
    return own.test_loss < LOSS_SHARE * own.new_loss and gap > least
