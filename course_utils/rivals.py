"""Cheap rivals: what the training records alone give in seconds, without a language model.

    found = rivals.answer(train, test)        # {"majority": Rival, "nearest neighbour": Rival, ...}
    found["linear model"].answers[0]

A tuned model is worth its minutes only where it beats the best of these on the same test records.
Each rival sees what the model sees: instructions and inputs of all records, answers of the
training records only.
"""

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from course_utils.errors import CourseError
from course_utils.facts import NUMBER
from course_utils.metrics import labels_of, parse_record
from course_utils.report_program.writing import write_reports
from course_utils.scoring import input_of, reference_of

if TYPE_CHECKING:
    from sklearn.pipeline import FeatureUnion

Record = Mapping[str, str]
LEAST_EXAMPLES = 3  # a label that fewer training records carry is not learned
WORDS = re.compile(r"\w+")
LIMIT = re.compile(r"(at most|at least|between) $")


@dataclass(frozen=True)
class Rival:
    """One method's answers to the test records, and the seconds for fitting and answering."""

    answers: list[str]
    seconds: float


def answer(train: Sequence[Record], test: Sequence[Record]) -> dict[str, Rival]:
    """Every rival that can answer these records: {name: Rival}, the answers in their order.

    JSON answers: majority, nearest neighbour, linear model. Prose: majority, nearest neighbour,
    best sentence of the input; reports: a program, too. Records of several kinds (task, document,
    form) may be mixed: each kind learns from its own training records, and a method that is not
    made for a kind leaves its answers empty. Raises CourseError where one part is empty.
    """
    if not train or not test:
        raise CourseError(
            f"rivals need both parts; there are {len(train)} training and {len(test)} test records",
            "run notebook 01 again, or read the right files",
        )
    return {
        name: _timed(method, suits, train, test)
        for name, (method, suits) in METHODS.items()
        if any(map(suits, test))
    }


def _timed(
    method: Callable, suits: Callable, train: Sequence[Record], test: Sequence[Record]
) -> Rival:
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    started = time.perf_counter()
    answers = [""] * len(test)
    # The matrices are small: several threads only wait for each other, 20 times as long.
    with threadpool_limits(1):
        for kind in dict.fromkeys(map(_kind, test)):
            places = [i for i, record in enumerate(test) if _kind(record) == kind]
            if not suits(test[places[0]]):
                continue
            own = [record for record in train if _kind(record) == kind] or list(train)
            for i, text in zip(places, method(own, [test[i] for i in places]), strict=True):
                answers[i] = text
    return Rival(answers, time.perf_counter() - started)


def _kind(record: Record) -> tuple[str, str, str, bool]:
    names = (record.get(name, "") for name in ("task", "document", "form"))
    return *names, _is_json(record)


def _is_json(record: Record) -> bool:
    return parse_record(reference_of(record)) is not None


def _is_prose(record: Record) -> bool:
    return not _is_json(record)


def _is_report(record: Record) -> bool:
    return record.get("task") == "report"


# --- The methods: (training records, test records) of one kind -> answers ------------------------


def _majority(train: Sequence[Record], test: Sequence[Record]) -> list[str]:
    """The most frequent training answer, whatever is asked."""
    (most, _), *_ = Counter(map(reference_of, train)).most_common(1)
    return [most] * len(test)


def _nearest(train: Sequence[Record], test: Sequence[Record]) -> list[str]:
    """The answer of the training record with the most similar text (cosine of letter triples)."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    triples = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 3), sublinear_tf=True)
    known = triples.fit_transform(map(_prompt, train))
    likeness = triples.transform(map(_prompt, test)) @ known.T  # rows have length 1: the cosine
    return [reference_of(train[row.argmax()]) for row in likeness]


def _prompt(record: Record) -> str:
    """Instruction and text; of JSON tasks the text only, since their instructions say the same."""
    if _is_json(record):
        return input_of(record)
    return f"{record['instruction']}\n{input_of(record)}"


def _linear(train: Sequence[Record], test: Sequence[Record]) -> list[str]:
    """One logistic regression a label, "field: value", on words and pieces of words."""
    from sklearn.linear_model import LogisticRegression

    train = [record for record in train if _is_json(record)]
    if not train:
        return [""] * len(test)
    labels = [labels_of(reference_of(record)) for record in train]
    count = Counter(label for row in labels for label in row)
    features = word_features()
    known = features.fit_transform([input_of(record) for record in train])
    asked = features.transform([input_of(record) for record in test])
    found: list[dict[str, list[str]]] = [{} for _ in test]
    for label in sorted(label for label, n in count.items() if LEAST_EXAMPLES <= n < len(train)):
        model = LogisticRegression(C=30, solver="liblinear", random_state=0)
        model.fit(known, [label in row for row in labels])
        for i in model.predict(asked).nonzero()[0]:
            field, value = label
            found[i].setdefault(field, []).append(value)
    always = sorted(label for label, n in count.items() if n == len(train))
    for row in found:
        for field, value in always:
            row.setdefault(field, []).append(value)
    return [json.dumps({field: "; ".join(row[field]) for field in sorted(row)}) for row in found]


def word_features() -> "FeatureUnion":
    """TF-IDF of words, pairs of words and pieces of 2 to 5 letters: what `linear model` sees."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import FeatureUnion

    pieces = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, min_df=2)
    words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\S+", sublinear_tf=True)
    return FeatureUnion([("pieces", pieces), ("words", words)])


def _best_sentences(train: Sequence[Record], test: Sequence[Record]) -> list[str]:
    """The sentence or line of the input that shares most with the question, rare words first."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    weights = TfidfVectorizer(token_pattern=r"(?u)\w+", sublinear_tf=True)
    weights.fit(f"{record['instruction']}\n{input_of(record)}" for record in train)
    lead = _usual_word(train)
    answers = []
    for record in test:
        pieces = _sentences(input_of(record)) or [record["instruction"]]
        likeness = weights.transform(pieces) @ weights.transform([record["instruction"]]).T
        answers.append(
            _in_form(pieces[int(likeness.toarray().argmax())], record.get("form", ""), lead)
        )
    return answers


def _usual_word(train: Sequence[Record]) -> str:
    """Yes or no, whichever the training answers begin with more often."""
    first = [
        text.split(maxsplit=1)[0].strip(",.:;") for text in map(reference_of, train) if text.strip()
    ]
    said = Counter(word for word in first if word in ("Yes", "No"))
    return said.most_common(1)[0][0] if said else "Yes"


def _sentences(text: str) -> list[str]:
    pieces = re.split(r"\n|(?<=[.!?;])\s+", text)
    return [piece.strip() for piece in pieces if WORDS.search(piece)]


def _in_form(sentence: str, form: str, lead: str) -> str:
    """The sentence itself; after `lead` where yes or no is asked; its first number, with limit and
    unit, where a number is asked for.
    """
    if form.startswith("yes or no"):
        return f"{lead}: {sentence}"
    number = NUMBER.search(sentence) if form.startswith("number") else None
    if not number:
        return sentence
    before, after = sentence[: number.start()], sentence[number.end() :]
    limit = LIMIT.search(before)
    if limit and limit[1] == "between":
        upper = re.match(r" and \S+ \S+", after)
        return f"between {number.group()}{upper.group() if upper else ''}"
    unit = re.match(r"\s?[^\s,;.()]{0,12}", after)
    return f"{limit.group() if limit else ''}{number.group()}{unit.group()}".strip()


# name -> (method, which records it can answer), in the order of a table's rows
METHODS: dict[str, tuple[Callable, Callable[[Record], bool]]] = {
    "majority": (_majority, lambda record: True),
    "nearest neighbour": (_nearest, lambda record: True),
    "linear model": (_linear, _is_json),
    "best sentence": (_best_sentences, _is_prose),
    "report program": (write_reports, _is_report),
}
# Not fitted in seconds but written in days, for rules that are known. It stands beside the others
# and is never "the best cheap rival".
BY_HAND = ("report program",)
