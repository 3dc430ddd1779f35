"""Wordings are drawn and remembered; diversity figures worked out by hand."""

import random
from collections import Counter

import pytest

from course_utils.errors import CourseError
from course_utils.tracks import wording
from course_utils.tracks.wording import (
    Draft,
    Realiser,
    capital,
    distinct_ngrams,
    listing,
    self_bleu,
    template_shares,
)


def draft(task, template, **record):
    return Draft({"task": task, "instruction": "", "input": "", "output": "", **record}, template)


def test_the_template_names_every_choice():
    say = Realiser(random.Random(3), "qa/limit")
    texts = [say("open", ["{x} is", "{x} was"], x="it"), say("end", ["ok"])]
    assert texts[0] in ("it is", "it was")
    assert say.template == f"qa/limit:open{['it is', 'it was'].index(texts[0])}.end0"


def test_a_value_may_hold_braces_and_is_not_filled_again():
    say = Realiser(random.Random(0), "a")
    assert say("slot", ["<{x}>"], x="{y} {0}") == "<{y} {0}>"


def test_every_wording_is_drawn_about_as_often():
    rng = random.Random(0)
    drawn = Counter(Realiser(rng, "a")("s", ["x", "y", "z"]) for _ in range(3000))
    # 1000 each, standard deviation 26: five of them are 130.
    assert all(abs(count - 1000) < 130 for count in drawn.values())


def test_the_order_of_parts_is_part_of_the_template():
    seen = {}
    for seed in range(60):
        say = Realiser(random.Random(seed), "a")
        seen[say.template + "".join(say.order("o", "xyz"))] = say.template
    orders = {}
    for seed in range(60):
        say = Realiser(random.Random(seed), "a")
        parts = "".join(say.order("o", "xyz"))
        orders.setdefault(parts, set()).add(say.template)
    assert len(orders) == 6
    assert all(len(templates) == 1 for templates in orders.values())
    assert len(set.union(*orders.values())) == 6


def test_a_slot_without_wording_is_refused_by_name():
    with pytest.raises(CourseError, match="qa/limit: the slot end has no wording"):
        Realiser(random.Random(0), "qa/limit")("end", [])


def test_a_wording_that_asks_for_an_unknown_value_is_named_with_what_is_known():
    with pytest.raises(
        CourseError, match="qa/limit, end: 'up to {limt}' .*known here: limit, unit"
    ):
        Realiser(random.Random(0), "qa/limit")("end", ["up to {limt}"], limit="4", unit="mm")


def test_template_shares_are_counted_by_task():
    drafts = [draft("qa", name) for name in "aab"] + [draft("report", "a")]
    assert template_shares(drafts) == {"qa": ("a", 2 / 3, 2), "report": ("a", 1.0, 1)}
    assert template_shares([]) == {}


@pytest.mark.parametrize(
    ("texts", "n", "expected"),
    [
        (["a b c d"], 3, 1.0),
        (["a b c a b c"], 3, 3 / 4),  # abc bca cab abc
        (["a b c", "A  B\nC"], 3, 1 / 2),
        (["a b c", "d e"], 3, 1.0),
        (["a a a a"], 1, 1 / 4),
        (["a b", "b a"], 2, 1.0),
    ],
)
def test_distinct_ngrams_are_distinct_by_all(texts, n, expected):
    assert distinct_ngrams(texts, n) == expected


@pytest.mark.parametrize("texts", [[], ["a b"], ["", "  "]])
def test_texts_without_an_ngram_are_refused(texts):
    with pytest.raises(CourseError, match="no text has 3 words"):
        distinct_ngrams(texts)


def test_self_bleu_of_identical_texts_is_100_and_of_disjoint_ones_0():
    same = ["the pump is leaking oil again"] * 4
    assert self_bleu(same) == pytest.approx(100)
    disjoint = ["alpha beta gamma delta", "one two three four", "red green blue white"]
    assert self_bleu(disjoint) == pytest.approx(0, abs=1e-9)
    assert self_bleu(["a", "a"]) == pytest.approx(100)


def test_self_bleu_lies_between_for_texts_that_share_half():
    half = ["the pump leaks at the left seal", "the pump leaks near a right hose"]
    # shared with the other: 3 of 7 words, 2 of 6 pairs, 1 of 5 triples, 0 of 4 (smoothed: 1 / 2·4)
    expected = 100 * ((3 / 7) * (2 / 6) * (1 / 5) * (1 / 8)) ** 0.25
    assert self_bleu(half) == pytest.approx(expected)


def test_self_bleu_draws_its_sample_from_the_seed():
    rng = random.Random(1)
    texts = [" ".join(rng.choices("abcdef", k=9)) for _ in range(40)]
    assert self_bleu(texts, sample=5, seed=1) == self_bleu(texts, sample=5, seed=1)
    assert self_bleu(texts, sample=5, seed=1) != self_bleu(texts, sample=5, seed=2)


@pytest.mark.parametrize("texts", [[], ["one text"]])
def test_self_bleu_of_less_than_two_texts_is_refused(texts):
    with pytest.raises(CourseError, match="none to compare with"):
        self_bleu(texts)


def test_diversity_looks_at_prompts_and_answers_of_each_task():
    alike = {"task": "qa", "instruction": "Look at", "input": "the pump", "output": "It is worn."}
    records = [alike] * 3 + [{**alike, "task": "report"}] * 2
    figures = wording.diversity(records)
    assert list(figures) == ["qa", "report"]
    assert figures["qa"]["records"] == 3
    assert figures["qa"]["prompt"]["self_bleu"] == pytest.approx(100)
    assert figures["qa"]["prompt"]["distinct_3"] == 2 / 6  # two trigrams, in three prompts
    assert figures["qa"]["answer"]["distinct_3"] == 1 / 3
    assert wording.diversity(records, sample=2)["qa"]["records"] == 2


@pytest.mark.parametrize(
    ("items", "text"),
    [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")],
)
def test_a_list_is_told_with_commas_and_a_word(items, text):
    assert listing(items) == text
    assert listing(items, "or") == text.replace("and", "or")


def test_a_capital_leaves_the_rest_as_it_is():
    assert capital("oil of pump B") == "Oil of pump B"
    assert capital("") == ""
