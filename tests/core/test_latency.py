"""Timed requests: what is measured of a model, and what the figures made from it say."""

import pytest

from course_utils import latency, models
from course_utils.errors import CourseError
from course_utils.latency import Timed

PROMPT = [{"role": "user", "content": "PUMP LEAKS"}]


@pytest.fixture(scope="module")
def nano(nano_model_path):
    return models.load_model("nano", "fp32"), models.load_tokenizer("nano")


def test_a_request_to_generate_has_its_tokens_and_a_first_token_before_the_last(nano):
    timed = latency.of_generate(*nano, PROMPT, 5)
    assert 1 <= timed.tokens <= 5
    assert 0 < timed.first <= timed.seconds
    assert timed.finish in ("stop", "length")


def test_a_timed_answer_is_the_answer_of_generate(nano):
    from course_utils.generation import generate_answers

    assert latency.of_generate(*nano, PROMPT, 5).text == generate_answers(*nano, [PROMPT], 5)[0]


def test_in_a_batch_nobody_sees_a_token_before_the_last_answer_ends(nano):
    timed, seconds = latency.of_batch(*nano, [PROMPT, PROMPT], 4)
    assert [(one.first, one.seconds) for one in timed] == [(seconds, seconds)] * 2


def test_a_batched_answer_has_as_many_tokens_as_the_same_one_alone(nano):
    alone = latency.of_generate(*nano, PROMPT, 8)
    [batched, _], _ = latency.of_batch(*nano, [PROMPT, PROMPT], 8)
    assert (batched.text, batched.tokens) == (alone.text, alone.tokens)


def test_figures_are_medians_percentiles_and_a_rate_over_all_seconds():
    timed = [Timed(i / 10, float(i), 10, "") for i in range(1, 21)]
    found = latency.figures(timed)
    assert found["p50"] == 10.5
    assert found["p95"] == 19.0  # the 19th of 20 is the first that 95 % do not exceed
    assert found["first_p95"] == pytest.approx(1.9)
    assert found["tokens_per_second"] == pytest.approx(200 / 210)


def test_requests_at_the_same_time_count_by_the_clock():
    timed = [Timed(0.1, 2.0, 10, "")] * 8
    assert latency.figures(timed, seconds=2.0)["tokens_per_second"] == 40


def test_nothing_timed_is_an_error():
    with pytest.raises(CourseError, match="no request was timed"):
        latency.figures([])


def rows():
    asked = [{"instruction": "To JSON.", "input": "b", "output": '{"a": "b"}'}]
    slow = latency.row("generate", [Timed(1, 2, 10, '{"a": "b"}')], asked, None, 3, 100)
    fast = latency.row("endpoint", [Timed(0.1, 0.5, 10, "no")], asked, 60, 1, 50)
    return [slow, fast]


def test_a_row_holds_both_rates_and_the_score():
    slow, fast = rows()
    assert (slow["tokens/s, 1 user"], slow["tokens/s, 8 users"]) == (5, 5)
    assert (fast["tokens/s, 1 user"], fast["tokens/s, 8 users"]) == (20, 60)
    assert (slow["field F1"], fast["field F1"]) == (1, 0)


def test_a_row_is_told_beside_the_first_one():
    said = latency.told(rows())
    assert said.startswith("endpoint: ")
    assert "tokens/s, 1 user 20.00 (x 4.0)" in said
    assert "(x 1.0)" not in latency.told(rows()[:1])


def test_bars_hold_one_user_and_eight():
    found = latency.bars(rows())
    assert [(bar["mode"], bar["batch_size"]) for bar in found] == [
        ("generate", 1),
        ("generate", 8),
        ("endpoint", 1),
        ("endpoint", 8),
    ]
    assert found[2]["seconds"] == pytest.approx(latency.BAR_TOKENS / 20)


# --- Two ways of answering, timed several times ---------------------------------------------------


def test_each_pass_has_a_rate_of_its_own(nano):
    rates = latency.rates(*nano, [PROMPT], 4, passes=3)
    assert len(rates) == 3
    assert min(rates) > 0


def test_passes_that_overlap_show_no_difference():
    told = latency.compared({"adapter": [10, 11, 14], "merged": [12, 13, 15]})
    assert told.startswith("adapter 11.0 (10.0 to 14.0) tokens/s, merged 13.0 (12.0 to 15.0)")
    assert "x 1.18; the passes overlap, so no difference is shown" in told


@pytest.mark.parametrize(("after", "word"), [([12, 13], "faster"), ([8, 9], "slower")])
def test_passes_that_lie_apart_show_which_is_faster(after, word):
    told = latency.compared({"adapter": [10, 11], "merged": after})
    assert f"every pass of merged was {word} than every pass of adapter" in told


def test_passes_in_which_nothing_was_written_have_no_ratio():
    told = latency.compared({"adapter": [0, 0], "merged": [0, 0]})
    assert told.endswith("tokens/s: the passes overlap, so no difference is shown")
