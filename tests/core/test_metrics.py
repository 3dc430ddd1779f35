"""Scores against numbers worked out by hand and against the libraries' own entry points."""

import json
import math
import os
import random
import subprocess
import sys
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils import metrics
from course_utils.errors import CourseError

PREDICTION = "the cat sat on the mat"
REFERENCE = "the cat is on the mat"


def table(predictions, references, nll=None, tokens=None):
    return {"predictions": predictions, "references": references, "nll": nll, "tokens": tokens}


def work_orders(count, share_right, seed):
    """References, answers of which about `share_right` of the fields are right, nll, tokens."""
    draw = random.Random(seed)
    references, predictions = [], []
    for number in range(count):
        record = {field: f"{field} {number}" for field in metrics.FIELDS}
        answer = {f: v if draw.random() < share_right else "wrong" for f, v in record.items()}
        references.append(json.dumps(record))
        predictions.append(json.dumps(answer))
    tokens = [draw.randint(5, 60) for _ in range(count)]
    return table(predictions, references, [t * draw.uniform(0.5, 2) for t in tokens], tokens)


# --- perplexity ---


def test_perplexity_weighs_tokens_not_records():
    # 1 token with 2 nats and 10 tokens with 30 nats: 32 nats over 11 tokens.
    # The records' own means are 2 and 3, so the mean of means would be 2.5.
    assert metrics.perplexity([2.0, 30.0], [1, 10]) == pytest.approx(math.exp(32 / 11))
    assert metrics.perplexity([2.0, 30.0], [1, 10]) > math.exp(2.5) * 1.4


def test_perplexity_of_a_uniform_guess_is_the_number_of_choices():
    assert metrics.perplexity([3 * math.log(8)], [3]) == pytest.approx(8)


@pytest.mark.parametrize(
    ("sums", "counts", "said"),
    [
        ([], [], "no tokens"),
        ([1.0], [0], "no tokens"),
        ([1.0, 2.0], [1], "2 likelihood sums"),
        ([1.0, math.nan], [1, 1], "record 1 is nan"),
        ([math.inf], [1], "record 0 is inf"),
        ([1e6], [1], "too large"),
    ],
)
def test_perplexity_names_what_is_wrong(sums, counts, said):
    with pytest.raises(CourseError, match=said):
        metrics.perplexity(sums, counts)


def test_bits_per_byte_is_nats_over_ln2_a_byte():
    # 3 ln 2 + 5 ln 2 nats are 8 bits, over 4 bytes.
    assert metrics.bits_per_byte([3 * math.log(2), 5 * math.log(2)], [1, 3]) == pytest.approx(2)


# --- records ---


def test_parse_record_reads_through_fences_prose_and_case():
    text = 'Sure {not json}.\n```json\n{"Part": " Bucket;  TEETH ", "action": ["Replace"]}\n``` {}'
    assert metrics.parse_record(text) == {
        "part": frozenset({"bucket", "teeth"}),
        "action": frozenset({"replace"}),
    }


def test_parse_record_drops_empty_values():
    text = '{"system": null, "part": "", "action": [], "location": [null, " ; "], "x": 5}'
    assert metrics.parse_record(text) == {"x": frozenset({"5"})}


@pytest.mark.parametrize("text", ["", "no object", '{"part": ', "[1]", '{"a": NaN}', None, 7])
def test_parse_record_is_none_without_an_object(text):
    assert metrics.parse_record(text) is None


@pytest.mark.parametrize("piece", ["{", '{"a":', '{"a":[', '{"', '{"a":{"b":[{}],'])
def test_parse_record_survives_hostile_nesting(piece):
    assert not metrics.parse_record(piece * 100_000)


@given(st.text())
@settings(max_examples=100, deadline=None)
def test_parse_record_never_raises(text):
    found = metrics.parse_record("{" + text)
    assert found is None or isinstance(found, dict)


@given(
    st.dictionaries(
        st.sampled_from(metrics.FIELDS), st.text(alphabet="abcXYZ é/-", min_size=1).map(str.strip)
    ),
    st.text(alphabet="ab`: \n"),
)
@settings(max_examples=50, deadline=None)
def test_parse_record_gives_back_what_was_written(record, prose):
    expected = {f: frozenset({" ".join(v.casefold().split())}) for f, v in record.items() if v}
    assert metrics.parse_record(f"{prose}{json.dumps(record)}{prose}") == expected


def test_field_counts_by_hand():
    reference = '{"part": "bucket; teeth", "action": "replace"}'
    prediction = '{"part": "Bucket", "action": "repair", "colour": "red"}'
    # right: bucket. Invented: action repair, colour red. Missed: teeth, action replace.
    assert metrics.field_counts(prediction, reference) == (1, 2, 2)
    # 2*1 / (2*1 + 2 + 2) = 1/3
    assert metrics.record_f1(prediction, reference) == pytest.approx(1 / 3)


def test_a_field_that_was_not_asked_for_costs():
    reference = '{"part": "bucket"}'
    assert metrics.record_f1(reference, reference) == 1
    # 2 / (2 + 1)
    assert metrics.record_f1('{"part": "bucket", "x": "y"}', reference) == pytest.approx(2 / 3)


def test_the_right_value_in_the_wrong_field_is_wrong():
    assert metrics.field_counts('{"system": "bucket"}', '{"part": "bucket"}') == (0, 1, 1)


def test_an_answer_without_json_misses_everything():
    assert metrics.field_counts("a bucket", '{"part": "bucket; teeth"}') == (0, 0, 2)
    assert metrics.record_f1("a bucket", "{}") == 0


def test_parsed_records_count_like_their_texts():
    text = '{"part": "a; b", "action": null}'
    parsed = metrics.parse_record(text)
    assert metrics.field_counts(parsed, text) == metrics.field_counts(text, parsed) == (2, 0, 0)


def test_field_f1_adds_counts_before_dividing():
    references = ['{"part": "a"}', '{"part": "a", "action": "b", "system": "c"}', "free text"]
    predictions = ['{"part": "a"}', "nothing", '{"part": "not counted"}']
    # counts (1,0,0) + (0,0,3): 2 / (2 + 3) = 0.4; the mean of the records' F1 would be 0.5.
    assert metrics.field_f1(predictions, references) == pytest.approx(0.4)


def test_interval_of_field_f1_by_hand():
    """Two records, one right and one wrong: a draw holds 0, 1 or 2 right, 1/4, 1/2, 1/4."""
    texts = ['{"part": "Fan"}', '{"part": "Pump"}']
    half = metrics.field_f1_interval(['{"part": "Fan"}', '{"part": "Fan"}'], texts)
    assert half == {"mean": 0.5, "low": 0.0, "high": 1.0}
    assert metrics.field_f1_interval(texts, texts) == {"mean": 1.0, "low": 1.0, "high": 1.0}


def test_interval_of_field_f1_narrows_with_more_records_and_repeats_with_its_seed():
    few, many = work_orders(30, 0.7, seed=1), work_orders(300, 0.7, seed=1)
    found = [metrics.field_f1_interval(t["predictions"], t["references"]) for t in (few, many)]
    narrow = found[1]["high"] - found[1]["low"]
    assert 0 < narrow < found[0]["high"] - found[0]["low"]
    assert found[0]["low"] < found[0]["mean"] < found[0]["high"]
    assert metrics.field_f1_interval(few["predictions"], few["references"]) == found[0]


def test_kappa_is_not_defined_without_a_choice():
    assert metrics.cohen_kappa([], []) is None
    assert metrics.cohen_kappa(["a", "a"], ["a", "a"]) is None
    assert metrics.cohen_kappa(["a", "b"], ["a", "b"]) == 1


def test_field_f1_needs_a_record():
    with pytest.raises(CourseError, match="No reference"):
        metrics.field_f1(["{}"], ["free text"])


def test_exact_match_ignores_order_and_case_but_not_extra_fields():
    references = ['{"part": "a; b", "action": null}'] * 3 + ["Free  text", "free text"]
    predictions = ['{"PART": ["B", "a"]}', '{"part": "a"}', '{"part": "a; b", "x": "y"}']
    predictions += ["free text ", "other text"]
    assert metrics.exact_match(predictions, references) == pytest.approx(2 / 5)


# --- BLEU and ROUGE ---


def test_bleu_by_hand():
    # 6 words each, so no brevity penalty. Words 5/6 (the twice, cat, on, mat); pairs 3/5 (the cat,
    # on the, the mat); triples 1/4 (on the mat); fours 0/3, smoothed to 1/2 of a match: 1/6.
    expected = 100 * (5 / 6 * 3 / 5 * 1 / 4 * 1 / 6) ** (1 / 4)
    assert metrics.bleu([PREDICTION], [REFERENCE]) == pytest.approx(expected)


def test_bleu_penalises_short_answers():
    # All four precisions are 1; 4 words for 6: exp(1 - 6/4).
    expected = 100 * math.exp(1 - 6 / 4)
    assert metrics.bleu(["the cat is on"], [REFERENCE]) == pytest.approx(expected)


def test_rouge_by_hand():
    # 5 of 6 words, 3 of 5 pairs; longest common subsequence: the cat on the mat, 5 of 6.
    found = metrics.rouge([PREDICTION], [REFERENCE])
    assert found == pytest.approx({"rouge1": 5 / 6, "rouge2": 3 / 5, "rougeL": 5 / 6})


def test_bleu_and_rouge_equal_the_libraries():
    import sacrebleu
    from rouge_score.rouge_scorer import RougeScorer

    data = work_orders(20, 0.6, seed=1)
    predictions, references = data["predictions"], data["references"]
    predictions[0] = ""
    expected = sacrebleu.corpus_bleu(predictions, [references]).score
    assert metrics.bleu(predictions, references) == pytest.approx(expected)

    scorer = RougeScorer(["rouge2"])
    scored = [scorer.score(r, p) for p, r in zip(predictions, references, strict=True)]
    expected = sum(row["rouge2"].fmeasure for row in scored) / 20
    assert metrics.rouge(predictions, references)["rouge2"] == pytest.approx(expected)


def test_evaluate_modules_take_several_references():
    references = [["a b c d", "w x y z"], ["e f g h"]]
    predictions = ["w x y z", "e f g h"]
    for name, key, best in (("bleu", "bleu", 100), ("rouge", "rouge1", 1)):
        found = metrics.load_evaluate_module(name).compute(
            predictions=predictions, references=references
        )
        assert found[key] == pytest.approx(best)


@pytest.mark.usefixtures("socket_disabled")
def test_evaluate_modules_load_as_a_student_would_load_them():
    import evaluate

    module = evaluate.load(str(metrics.EVALUATE_MODULES / "rouge"))
    assert module.compute(predictions=["a b"], references=["a b"])["rouge2"] == 1


def test_an_unknown_module_is_named_with_the_known_ones():
    with pytest.raises(CourseError, match="bleu, rouge"):
        metrics.load_evaluate_module("meteor")


CACHE_SCRIPT = """
    import os, sys
    from pathlib import Path
    from evaluate import config
    from course_utils import metrics

    def child(cache):
        number = os.fork()
        if number:
            return number
        config.HF_MODULES_CACHE, config.HF_METRICS_CACHE = cache / "modules", cache / "metrics"
        scores = metrics.score_all(["a b c d"], ["a b c d"])
        os._exit(0 if round(scores["bleu"]) == 100 and scores["rougeL"] == 1 else 1)

    folder = Path(sys.argv[1])
    (folder / "file").touch()
    children = [child(folder / "shared"), child(folder / "shared"), child(folder / "file")]
    codes = [os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]) for number in children]
    sys.exit(codes != [0, 0, 0])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="starts its processes by fork")
def test_modules_load_in_parallel_and_without_a_writable_cache(tmp_path):
    # Two processes fill one cache folder at once; a third cannot write where it is told to.
    command = [sys.executable, "-c", textwrap.dedent(CACHE_SCRIPT), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stderr


# --- all scores ---


def test_score_all_fills_the_contract():
    data = work_orders(5, 0.5, seed=2)
    scores = metrics.score_all(*data.values())
    assert tuple(scores) == metrics.METRICS
    assert all(isinstance(value, float) for value in scores.values())
    assert json.loads(json.dumps(scores)) == scores


def test_score_all_says_none_where_a_metric_does_not_apply():
    scores = metrics.score_all(["free text"], ["free text"])
    assert scores["perplexity"] is None
    assert scores["field_f1"] is None
    assert scores["exact_match"] == 1


@pytest.mark.parametrize(
    ("predictions", "references", "said"),
    [([], [], "no records"), (["a"], [], "1 predictions"), ([None], ["a"], "record 0 is NoneType")],
)
def test_scores_name_what_is_wrong(predictions, references, said):
    for score in (metrics.bleu, metrics.rouge, metrics.exact_match, metrics.score_all):
        with pytest.raises(CourseError, match=said):
            score(predictions, references)


# --- bootstrap ---


def test_a_draw_of_every_record_once_gives_the_corpus_scores():
    """Guards the sums behind the bootstrap, BLEU's counts among them."""
    import numpy as np

    data = work_orders(30, 0.5, seed=3)
    data["predictions"][4] = ""
    data["references"][5] = "a report in plain words"
    sums = metrics._record_sums(data)
    once = metrics._resampled_scores(sums, np.ones((1, 30)))
    assert {name: values[0] for name, values in once.items()} == pytest.approx(
        metrics.score_all(*data.values())
    )
    twice_the_first = np.array([[2.0, 1.0] + [0.0] * 28])
    drawn = [column[:1] * 2 + column[1:2] for column in data.values()]
    again = metrics._resampled_scores(sums, twice_the_first)
    assert {name: values[0] for name, values in again.items()} == pytest.approx(
        metrics.score_all(*drawn)
    )


def test_bootstrap_smooths_bleu_as_the_corpus_score_does():
    # No run of four words is shared, so the score hangs on the smoothing alone.
    counts = metrics._bleu_counts([PREDICTION], [REFERENCE])[0]
    assert metrics._bleu_of_counts(counts) == pytest.approx(metrics.bleu([PREDICTION], [REFERENCE]))


@pytest.mark.parametrize("names", [("rougeL", "exact_match"), ("bleu",), ("perplexity",)])
def test_scores_that_are_not_wanted_are_left_out_and_change_no_other(names):
    before, after = (work_orders(20, share, seed=6) for share in (0.3, 0.7))
    whole, some = metrics.score_all(*after.values()), metrics.score_all(*after.values(), names)
    intervals = (metrics.paired_bootstrap(before, after, 50, 0, wanted)
                 for wanted in (metrics.METRICS, names))  # fmt: skip
    for every, found in ((whole, some), tuple(intervals)):
        assert {name: found[name] for name in names} == {name: every[name] for name in names}
        assert ("bleu" in names) is (found["bleu"] is not None)
        assert ("rougeL" in names) is (found["rouge1"] is not None)


def test_bootstrap_of_equal_models_is_zero():
    data = work_orders(40, 0.5, seed=4)
    zero = {"mean": 0.0, "low": 0.0, "high": 0.0}
    difference = metrics.paired_bootstrap(data, data, samples=50)
    assert difference == dict.fromkeys(metrics.METRICS, zero)


def test_bootstrap_repeats_from_its_seed():
    base, tuned = work_orders(40, 0.3, seed=5), work_orders(40, 0.7, seed=6)
    first = metrics.paired_bootstrap(base, tuned, samples=100, seed=1)
    assert first == metrics.paired_bootstrap(base, tuned, samples=100, seed=1)
    assert first != metrics.paired_bootstrap(base, tuned, samples=100, seed=2)


def test_bootstrap_interval_is_that_of_the_paired_mean():
    # 100 records right in both, 60 only in tuned, 20 only in base, 60 in none: each difference is
    # 0, +1 or -1 with mean 40/240 = 1/6 and variance 80/240 - 1/36 = 11/36, so the standard error
    # is sqrt(11/36/240) = 0.0357 and the interval 1/6 -/+ 1.96 * 0.0357. Unpaired it would be
    # sqrt((160/240*80/240 + 120/240*120/240) / 240) = 0.0444, a quarter wider.
    # The ends of 2,000 draws stray by about 0.0357 * 0.06 = 0.002; 0.006 is three times that.
    right, wrong = '{"part": "a"}', '{"part": "b"}'
    base = [right] * 100 + [wrong] * 60 + [right] * 20 + [wrong] * 60
    tuned = [right] * 100 + [right] * 60 + [wrong] * 20 + [wrong] * 60
    references = [right] * 240
    difference = metrics.paired_bootstrap(
        table(base, references), table(tuned, references), samples=2000
    )
    found = difference["exact_match"]
    assert found["mean"] == pytest.approx(1 / 6, abs=0.003)
    assert found["low"] == pytest.approx(1 / 6 - 1.96 * 0.0357, abs=0.006)
    assert found["high"] == pytest.approx(1 / 6 + 1.96 * 0.0357, abs=0.006)
    # One field a record, always one value told: F1 is the share that is right, too.
    assert difference["field_f1"] == pytest.approx(found)
    assert difference["perplexity"] is None


def test_bootstrap_sees_a_better_model_in_every_metric():
    base, tuned = work_orders(60, 0.2, seed=7), work_orders(60, 0.9, seed=8)
    tuned["nll"] = [value / 2 for value in base["nll"]]
    tuned["tokens"] = base["tokens"]
    difference = metrics.paired_bootstrap(base, tuned, samples=200)
    assert difference["perplexity"]["high"] < 0
    del difference["perplexity"]
    assert all(interval["low"] > 0 for interval in difference.values())


def test_bootstrap_refuses_unpaired_tables():
    base, tuned = work_orders(3, 0.5, seed=9), work_orders(3, 0.5, seed=9)
    tuned["references"].reverse()
    with pytest.raises(CourseError, match="different records"):
        metrics.paired_bootstrap(base, tuned)
    tuned["references"].reverse()
    tuned["tokens"].pop()
    with pytest.raises(CourseError, match="'tokens' has 2 rows"):
        metrics.paired_bootstrap(base, tuned)
    del tuned["predictions"]
    with pytest.raises(CourseError, match="'predictions'"):
        metrics.paired_bootstrap(base, tuned)


def test_wilson_interval_of_8_in_10():
    """Wilson (1927) by hand: (0.8 + 0.19207) / 1.38415 = 0.71674, half width 0.22662."""
    found = metrics.wilson_interval(8, 10)
    assert found == pytest.approx({"mean": 0.8, "low": 0.49016, "high": 0.94333}, abs=1e-4)


@pytest.mark.parametrize(("wins", "trials"), [(0, 5), (5, 5), (3, 7), (1, 1)])
def test_wilson_interval_is_scipys(wins, trials):
    from scipy.stats import binomtest

    expected = binomtest(wins, trials).proportion_ci(method="wilson")
    found = metrics.wilson_interval(wins, trials)
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))


def test_no_trial_has_no_rate():
    assert metrics.wilson_interval(0, 0) is None


def test_several_threads_may_score_at_a_time():
    """A class is graded by threads; a shared module of `evaluate` lost its predictions there."""
    from concurrent.futures import ThreadPoolExecutor

    texts = ["the pump leaks oil", "the belt is worn", "a bearing runs hot"]
    alone = [metrics.rouge([text], ["the pump runs hot"])["rougeL"] for text in texts]
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda text: metrics.rouge([text], ["the pump runs hot"]), texts * 8)
        assert [scores["rougeL"] for scores in found] == alone * 8
