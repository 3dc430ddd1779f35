"""What each member of the class wrote alone: sentences and code that no other has, by a seed.

An honest class must have nothing in common but the task: else the integrity report would be right
to name everybody.
"""

import random

SUBJECTS = (
    "the adapter", "our table", "a short run", "the second curve", "the sheet", "one record in ten",
    "the base model", "the smaller rank", "the longest prompt", "the drawn sample", "a wrong unit",
    "the validation part", "the first epoch", "a quiet afternoon", "the gold label", "our machine",
    "the colleague from assembly", "the third attempt", "a rounded figure", "the chart", "the seed",
)  # fmt: skip
VERBS = (
    "shows", "hides", "needs", "repeats", "loses", "shortens", "explains", "contradicts",
    "measures", "moves", "confirms", "narrows", "doubles", "settles", "outlasts", "mistakes",
)  # fmt: skip
OBJECTS = (
    "most of the gain", "the same answer", "less memory", "two wrong verdicts", 
    "a fifth of the steps", "what the sheet says", "the loss at the end", "an early plateau",
    "the noise of the draw", "the name of the part", "a limit with its direction", "the last digit",
    "half of the time", "the rule on the chart", "what nobody asked for", "the cost of padding",
)  # fmt: skip
WHERE = (
    "after step {n}", "in run {n}", "within {n} minutes", "for {n} of our records", "at rank {n}",
    "below {n} tokens", "on line {n} of the table", "with {n} examples", "in figure {n}",
    "between {n} and twice that", "by {n} percent", "from the value {n} on",
)  # fmt: skip
LINKS = ("and", "while", "because", "although", "so that", "whereas", "until", "since")


def sentence(rng: random.Random) -> str:
    """One sentence with two figures; it means little, and no other member wrote it."""

    def clause() -> str:
        subject, verb, thing = (rng.choice(words) for words in (SUBJECTS, VERBS, OBJECTS))
        return f"{subject} {verb} {thing} {rng.choice(WHERE).format(n=rng.randrange(2, 997))}"

    text = f"{clause()} {rng.choice(LINKS)} {clause()}."
    return text[0].upper() + text[1:]


def prose(rng: random.Random, sentences: int) -> str:
    """Some sentences in a row."""
    return " ".join(sentence(rng) for _ in range(sentences))


def code(rng: random.Random, functions: int = 4) -> str:
    """Small functions of one's own: other loops, operators and numbers, not only other names."""
    return "\n\n\n".join(_function(rng, number) for number in range(functions)) + "\n"


def _function(rng: random.Random, number: int) -> str:
    lines = [f"def own_{rng.randrange(10**6)}_{number}(values):", f"    total = {_value(rng)}"]
    for _ in range(rng.randrange(3, 6)):
        lines += rng.choice((_loop, _choice, _list, _sum))(rng)
    return "\n".join([*lines, f"    return total {_operator(rng)} {rng.randrange(1, 99)}"])


def _value(rng: random.Random) -> str:
    return f"{rng.randrange(1, 999)} {_operator(rng)} {rng.randrange(1, 99)}"


def _operator(rng: random.Random) -> str:
    return rng.choice(("+", "-", "*", "//", "%", "|", "&", "^"))


def _loop(rng: random.Random) -> list[str]:
    return [
        f"    for value in values[{rng.randrange(9)}::{rng.randrange(1, 9)}]:",
        f"        total {_operator(rng)}= value {_operator(rng)} {rng.randrange(1, 99)}",
    ]


def _choice(rng: random.Random) -> list[str]:
    return [
        f"    if total {rng.choice(('<', '>', '==', '!='))} {_value(rng)}:",
        f"        total = {_value(rng)} {_operator(rng)} total",
    ]


def _list(rng: random.Random) -> list[str]:
    return [f"    total += len([value for value in values if value % {_value(rng)}])"]


def _sum(rng: random.Random) -> list[str]:
    return [
        f"    total = sum(values[:{rng.randrange(2, 99)}], total {_operator(rng)} {_value(rng)})"
    ]
