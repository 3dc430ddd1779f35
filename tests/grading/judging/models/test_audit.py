"""A stated loss: what holds costs eighteen records, what was lowered is seen in them."""

import math
import random
from types import SimpleNamespace

import pytest

from course_utils.grading.judging import tolerances
from course_utils.grading.judging.models.audit import STATED, audit, improves, missed
from course_utils.grading.judging.models.common import drawn

RECORDS = [{"instruction": f"question {number}", "output": "x"} for number in range(60)]
TOKENS = [10 + number % 7 for number in range(60)]
TRUE = [[tokens * (1 + number % 5 / 4), tokens] for number, tokens in enumerate(TOKENS)]
SEED = 11


class Adapter:
    """Gives the true losses, times a factor without the adapter; remembers how many were asked."""

    def __init__(self, untuned=2.0):
        self.untuned, self.asked = untuned, []

    def __call__(self, records, tuned):
        self.asked.append(len(records))
        rows = [TRUE[RECORDS.index(record)] for record in records]
        if tuned:
            return [tuple(row) for row in rows]
        # one record in five gains much, one little
        return [
            (nll * (self.untuned + 0.05 * (number % 5 - 2)), tokens)
            for number, (nll, tokens) in enumerate(rows)
        ]


def told(rows, loss=None):
    mean = sum(nll for nll, _ in rows) / sum(tokens for _, tokens in rows)
    return {"eval_loss": mean if loss is None else loss, STATED: [list(row) for row in rows]}


@pytest.fixture
def case():
    return SimpleNamespace(seed=SEED, item=SimpleNamespace(points=6.0), facts={})


def found(case, content, adapter=None):
    return audit(case, RECORDS, content, "none", adapter or Adapter())


def test_true_losses_agree_and_a_sample_is_asked(case):
    adapter, content = Adapter(), told(TRUE)
    seen = found(case, content, adapter)
    assert seen.agrees
    assert seen.found == pytest.approx(content["eval_loss"])
    assert adapter.asked == [tolerances.SAMPLED]
    assert seen.note.startswith("18 of 60 records")


def test_another_precision_agrees(case):
    draw = random.Random(1)
    rounded = [[nll * (1 + draw.gauss(0, 0.01)), tokens] for nll, tokens in TRUE]
    assert found(case, told(rounded)).agrees


@pytest.mark.parametrize("seed", range(20))
def test_who_lowers_the_mean_is_seen_in_the_sample(case, seed):
    case.seed = seed
    lower = [[nll * 0.9, tokens] for nll, tokens in TRUE]
    assert not found(case, told(lower)).agrees
    third = [[nll * (number % 3 > 0), tokens] for number, (nll, tokens) in enumerate(TRUE)]
    assert not found(case, told(third)).agrees


def test_a_mean_that_is_not_that_of_its_records_does_not_agree(case):
    seen = found(case, told(TRUE, loss=0.5))
    assert not seen.agrees
    assert seen.found == pytest.approx(told(TRUE)["eval_loss"])


def test_more_tokens_for_the_easy_records_do_not_agree(case):
    heavier = [[nll, tokens * (3 if nll < tokens * 1.3 else 1)] for nll, tokens in TRUE]
    assert not found(case, told(heavier)).agrees


@pytest.mark.parametrize(
    "rows",
    [
        *(None, [], TRUE[:-1], "x", [[1.0]] * 60, [[-1.0, 3]] * 60, [[True, 3]] * 60),
        *([["1", 3]] * 60, [[10**400, 3]] * 60, [[1.0, 10**400]] * 60, [[math.nan, 3]] * 60),
    ],
)
def test_without_a_loss_for_each_record_all_are_asked(case, rows):
    adapter, content = Adapter(), told(TRUE) | {STATED: rows}
    assert found(case, content, adapter).agrees
    assert adapter.asked == [18, 42]  # what `improves` asks too: known then
    assert not found(case, content | {"eval_loss": 1.0}).agrees


def test_a_loss_that_is_no_number_is_no_agreement(case):
    broken = [[None, tokens] for _, tokens in TRUE]
    assert not found(case, told(TRUE) | {STATED: broken}).agrees


# --- whether it improves ---


def judged(case, adapter, content=None):
    return improves(case, RECORDS, adapter, 0.2, 0.5, content or {}, "none")


@pytest.mark.parametrize(
    ("untuned", "asked", "points"),
    [
        (2.0, [18, 18], 6),  # lower by half
        (1.5, [18, 18], 6),  # by a third
        (1.27, [18, 18, 42, 42], 6),  # by 21 %: near the mark
        (1.23, [18, 18, 42, 42], 3),  # by 19 %
        (1.12, [18, 18], 3),  # by 11 %: near neither
        (0.99, [18, 18, 42, 42], 0),
        (0.5, [18, 18], 0),  # twice as high
    ],
)
def test_a_few_records_decide_where_it_is_clear(case, untuned, asked, points):
    adapter = Adapter(untuned)
    assert judged(case, adapter).points == points
    assert adapter.asked == asked


def test_an_infinite_loss_earns_nothing(case):
    def broken(records, tuned):
        return [(math.inf if tuned else 1.0, 1) for _ in records]

    assert judged(case, broken).points == 0
    assert judged(case, broken, told(TRUE)).points == 0


class Uneven(Adapter):
    """Two records in three lose half or a fifth of their loss, the third almost nothing."""

    def __call__(self, records, tuned):
        rows = super().__call__(records, tuned=True)
        if tuned:
            return rows
        places = [RECORDS.index(record) for record in records]
        factors = (2.0, 1.25, 1.02)
        return [
            (nll * factors[place % 3] * self.untuned, tokens)
            for place, (nll, tokens) in zip(places, rows, strict=True)
        ]


def test_what_is_stated_of_the_others_decides_where_no_lie_could_matter(case):
    adapter = Uneven(1.05)  # lower by about a third, but unevenly: a few leave a doubt
    seen = judged(case, adapter, told(TRUE))
    assert seen.points == 6
    assert adapter.asked == [18, 18, 42]  # the base model's are known for the whole class
    assert any("18 of them computed again" in row.note for row in seen.evidence)
    assert judged(case, Uneven(1.05)).points == 6  # all asked: as many points


@pytest.mark.parametrize("untuned", [0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0])
@pytest.mark.parametrize("lowered", [1, 4, 7])  # eighteen miss more once in thirty draws
def test_who_states_lower_losses_of_a_few_gains_nothing(case, untuned, lowered):
    """Of records that are not drawn, whichever they are: the worst case."""
    for case.seed in range(20):
        fair = judged(case, Uneven(untuned)).points
        places = drawn(RECORDS, 60, case.seed)[18:][:lowered]
        rows = [[nll * (n not in places), tokens] for n, (nll, tokens) in enumerate(TRUE)]
        assert judged(case, Uneven(untuned), told(rows)).points == fair


def test_how_many_records_a_sample_may_miss():
    """By drawing: with eight marked records of 60, eighteen hold none in fewer than 5 %."""
    assert missed(60, 18) == 7
    draw = random.Random(5)
    none = [
        sum(not set(draw.sample(range(60), 18)) & set(range(n)) for _ in range(20_000))
        for n in (7, 8)
    ]
    assert none[1] / 20_000 < 0.05 <= none[0] / 20_000
    assert missed(60, 60) == 0
    assert missed(4, 1) == 3


def test_stated_losses_that_the_sample_contradicts_are_not_used(case):
    adapter = Uneven(0.9)
    lower = [[nll * 0.5, tokens] for nll, tokens in TRUE]
    seen = judged(case, adapter, told(lower))
    assert adapter.asked == [18, 18, 42, 18, 18, 6]
    assert seen.points == judged(case, Uneven(0.9)).points


def test_more_are_asked_a_few_at_a_time_until_what_is_stated_decides(case):
    adapter = Uneven(0.98)  # lower by 29 %: seven of 42 could matter, three of 24 could not
    seen = judged(case, adapter, told(TRUE))
    assert adapter.asked == [18, 18, 42, 18]
    assert any("36 of them computed again" in row.note for row in seen.evidence)
    assert seen.points == judged(case, Uneven(0.98)).points


def test_fewer_tokens_of_the_others_are_not_used(case):
    adapter, places = Uneven(1.05), drawn(RECORDS, 60, SEED)[18:]
    rows = [[nll, tokens - (n in places[:3])] for n, (nll, tokens) in enumerate(TRUE)]
    judged(case, adapter, told(rows))
    assert adapter.asked[:3] == [18, 18, 42]
    assert sum(adapter.asked[3:]) > 18  # until the three are among those asked
