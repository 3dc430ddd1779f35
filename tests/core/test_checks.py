"""Every checker on a right answer, on wrong answers and on garbage."""

import inspect
import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from course_utils import checks, metrics
from course_utils.checks import CHECKS


def record(text, group=None):
    made = {"instruction": "Fill in the record.", "input": text, "output": "{}"}
    return made | {"group": group} if group else made


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def log(*losses, start=1, kind="loss"):
    return [{"step": start + i, kind: value} for i, value in enumerate(losses)]


def interval(low, high):
    return {"mean": (low + high) / 2, "low": low, "high": high}


def lora(**changes):
    from peft import LoraConfig

    given = {"r": 16, "lora_alpha": 32, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
    return LoraConfig(**(given | changes))


def sft(**changes):
    from trl import SFTConfig

    config = SFTConfig(
        output_dir="unused",
        use_cpu=True,
        bf16=False,
        completion_only_loss=True,
        eval_strategy="steps",
        eval_steps=20,
        save_strategy="steps",
        save_steps=40,
        load_best_model_at_end=True,
    )
    # Changed afterwards, as in a notebook: the constructor would refuse some of these.
    for name, value in changes.items():
        setattr(config, name, value)
    return config


SPLIT = {
    "train": [record("a", "g1"), record("a.", "g1")],
    "val": [record("b", "g2")],
    "test": [record("c", "g3")],
}
IDS = [5, 6, 7, 8, 2]
MASKED = [-100, -100, 7, 8, 2]
LENGTHS = list(range(1, 101))  # 95th percentile 95, 99th percentile 99
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
SUMS, COUNTS = [2.0, 30.0], [1, 10]  # 18.34; as text to the places that a notebook prints
SHOTS = [user("order: seat torn"), assistant("{}"), user("order: pump leaking")]
TEST_INPUTS = ["Pump leaking", "Seat"]
FIRST = log(1.0, 0.9, 0.8) + log(0.85, start=3, kind="eval_loss")
DIFFERENCE = {
    "field_f1": interval(0.1234, 0.24),
    "bleu": interval(-1, 2),
    "rouge1": interval(-0.3, -0.1),
    "perplexity": interval(-5, -2),
    "rougeL": None,
}

# Each case: the check, its values, and for a wrong answer a piece of what must be said.
RIGHT = [
    ("split_sizes", (SPLIT,)),
    ("split_sizes", ({name: [record(name)] for name in ("train", "val", "test")},)),
    ("completion_mask", (MASKED, IDS, 2)),
    ("completion_mask", (np.array(MASKED), np.array(IDS), 2, 2)),
    ("max_length_choice", (LENGTHS, 95)),
    ("max_length_choice", (np.array(LENGTHS), 198)),
    ("max_length_choice", (tuple(LENGTHS), np.int64(99))),
    ("max_length_choice", (LENGTHS, "96")),
    ("max_length_choice", (LENGTHS, 96.0)),
    ("perplexity_from_loss", (math.exp(32 / 11), SUMS, COUNTS)),
    ("perplexity_from_loss", (np.float32(18.3425), np.array(SUMS), np.array(COUNTS))),
    ("perplexity_from_loss", (18.34, SUMS, COUNTS)),
    ("perplexity_from_loss", (18.3, SUMS, COUNTS)),
    ("perplexity_from_loss", ("18.34", SUMS, tuple(COUNTS))),
    ("perplexity_from_loss", (Decimal("18.34"), SUMS, COUNTS)),
    ("perplexity_from_loss", (2.07, [0.7285], [1])),  # 2.072, rounded as one writes it down
    ("completion_mask", (tuple(MASKED), tuple(IDS), np.int64(2), 2)),
    ("few_shot_prompt", (SHOTS, TEST_INPUTS)),
    ("few_shot_prompt", ([{"role": "system", "content": "pump leaking"}, *SHOTS], TEST_INPUTS)),
    ("lora_parameters", (16 * (576 + 192), 576, 192, 16)),
    ("lora_parameters", (12288.0, 576, 192, 16)),
    ("lora_parameters", ("12,288", 576, 192, 16)),
    ("lora_parameters", ("12 288", 576, 192, 16)),
    ("lora_parameters", (np.array([12288]), 576, 192, np.int64(16))),
    ("effective_batch", (16, 2, 8)),
    ("effective_batch", (64, 2, 8, 4)),
    ("effective_batch", (np.float64(16), 2, 8)),
    ("effective_batch", ("16", 2, 8)),
    ("effective_batch", (Fraction(32, 2), 2, 8)),
    ("effective_batch", (4, 4, 1)),
    ("curves_join", (FIRST, FIRST + log(0.7, start=4), 1e-4)),
    ("curves_join", (FIRST, log(0.90001, 0.80001, 0.7, start=2), 1e-4)),
    ("curves_join", (tuple(FIRST), FIRST, 0)),
    ("better_than_base", (0.1234, DIFFERENCE, "field_f1")),
    ("better_than_base", (0.123, DIFFERENCE, "field_f1")),
    ("better_than_base", ("+0.12", DIFFERENCE, "field_f1")),
    ("better_than_base", (np.float32(0.1234), DIFFERENCE, "field_f1")),
    ("better_than_base", (-2, DIFFERENCE, "perplexity")),  # lower is better
    ("better_than_base", (Decimal("-1.0"), DIFFERENCE, "bleu")),
    ("better_than_base", (0, {"exact_match": interval(0, 0)}, "exact_match")),
    ("merged_agrees", (2, ["a", "b "], ["a", "b"])),
    ("merged_agrees", (1, ["a", "b "], ["a", "b"])),  # counted with == too
    ("merged_agrees", (9.0, ["a"] * 10, ["a"] * 9 + ["b"])),
    ("merged_agrees", ("9", tuple("a" * 10), ["a"] * 9 + ["b"])),
    ("merged_agrees", (np.int64(1), ["a"], ["a"])),
]

WRONG = [
    ("split_sizes", ({**SPLIT, "test": []},), "part test is empty"),
    ("split_sizes", ({"train": SPLIT["train"], "val": SPLIT["val"]},), "test is missing"),
    ("split_sizes", ({**SPLIT, "test": [record("d", "g1")]},), "1 groups stand in both train"),
    (
        "split_sizes",
        ({"train": [record("A  b")], "val": [record("c")], "test": [record("a b")]},),
        "1 groups stand in both train and test",
    ),
    ("completion_mask", (IDS, IDS, 2), "2 tokens of the prompt are trained"),
    ("completion_mask", ([-100, -100, 7, 8, -100], IDS, 2), "last token"),
    ("completion_mask", ([-100, -100, -100, 8, 2], IDS, 2), "1 tokens of the completion"),
    ("completion_mask", ([-100, -100, 8, 2, 2], IDS, 2), "are not its tokens"),
    ("completion_mask", (MASKED[:-1], IDS, 2), "4 labels for 5 tokens"),
    ("completion_mask", ([-100] * 5, IDS, 5), "no completion is left"),
    ("completion_mask", (MASKED, IDS, 2, 9), "no end-of-sequence token (9)"),
    ("max_length_choice", (LENGTHS, 94), "cuts 6.0%"),
    ("max_length_choice", (LENGTHS, 199), "more than twice"),
    ("max_length_choice", (LENGTHS, True), "must be a number"),
    ("max_length_choice", (LENGTHS, 95.5), "in the middle of a token"),
    ("max_length_choice", (LENGTHS, 0), "max_length is 0"),
    ("perplexity_from_loss", (math.exp(2.5), SUMS, COUNTS), "as much as a long one"),
    ("perplexity_from_loss", (13.74, SUMS, COUNTS), "mean of the records' own perplexities"),
    ("perplexity_from_loss", (32 / 11, SUMS, COUNTS), "is the mean loss"),
    ("perplexity_from_loss", ("2.909", SUMS, COUNTS), "is the mean loss"),
    ("perplexity_from_loss", (7.51, SUMS, COUNTS), "2 to the power of the loss"),
    ("perplexity_from_loss", (math.exp(16), SUMS, COUNTS), "loss of a whole record"),
    ("perplexity_from_loss", (18, SUMS, COUNTS), "rounded too far"),
    ("perplexity_from_loss", (1.0, SUMS, COUNTS), "is not the perplexity"),
    ("perplexity_from_loss", ("18,34", SUMS, COUNTS), "must be a number"),
    ("perplexity_from_loss", (math.nan, [2.0], [1]), "must be a number"),
    ("few_shot_prompt", ([user("order: SEAT"), *SHOTS[1:]], TEST_INPUTS), "1 of 1 examples"),
    ("few_shot_prompt", ([user("Do it.\n\nseat"), *SHOTS[1:]], TEST_INPUTS), "1 of 1 examples"),
    ("few_shot_prompt", (SHOTS[:2], TEST_INPUTS), "last message"),
    ("few_shot_prompt", ([SHOTS[0], *SHOTS], TEST_INPUTS), "do not alternate"),
    ("few_shot_prompt", (SHOTS[2:], TEST_INPUTS), "no example"),
    ("lora_parameters", (576 * 192, 576, 192, 16), "the layer itself"),
    ("lora_parameters", (16 * 576, 576, 192, 16), "one of the two"),
    ("lora_parameters", (576 + 192, 576, 192, 16), "as for rank 1"),
    ("lora_parameters", (16 * 576 * 192, 576, 192, 16), "their sizes add"),
    ("lora_parameters", (576 * 192 + 12288, 576, 192, 16), "the layer and the adapter"),
    ("lora_parameters", ("12,287", 576, 192, 16), "A and B"),
    ("lora_parameters", ("122,88", 576, 192, 16), "must be a number"),
    ("effective_batch", (2, 2, 8), "at once"),
    ("effective_batch", (8, 2, 8), "number of small batches"),
    ("effective_batch", (10, 2, 8), "sum of the two"),
    ("effective_batch", (16, 2, 8, 4), "there are 4"),
    ("effective_batch", (20, 2, 8), "not the number"),
    ("effective_batch", ("sixteen", 2, 8), "must be a number"),
    ("curves_join", (FIRST, log(1.0, 0.9, 0.81, 0.7), 1e-4), "at step 3 the loss differs by 0.01"),
    ("curves_join", (FIRST, log(0.7, start=4), 1e-4), "share no step"),
    ("curves_join", (FIRST, log(1.0, 0.9), 1e-4), "ends at step 2, before the first"),
    ("curves_join", (FIRST, log(1.0, 0.9, 0.7), 1), "lies between 0 and 0.01"),
    ("curves_join", (FIRST, log(math.nan, 0.9, 0.8), 1e-4), "must be a number"),
    ("better_than_base", (0.1817, DIFFERENCE, "field_f1"), "is the mean"),
    ("better_than_base", (0.24, DIFFERENCE, "field_f1"), "is the most"),
    ("better_than_base", (0.1166, DIFFERENCE, "field_f1"), "how wide"),
    ("better_than_base", (-0.1234, DIFFERENCE, "field_f1"), "wrong sign"),
    ("better_than_base", (12.34, DIFFERENCE, "field_f1"), "a hundred times"),
    ("better_than_base", (0.1, DIFFERENCE, "field_f1"), "no end of the interval"),
    ("better_than_base", (-5, DIFFERENCE, "perplexity"), "is the most"),
    ("better_than_base", (True, DIFFERENCE, "field_f1"), "must be a number"),
    ("better_than_base", (0.1, DIFFERENCE, "rougeL"), "does not apply"),
    ("better_than_base", (0.1, DIFFERENCE, "accuracy"), "the metrics are"),
    ("better_than_base", (0.1, {"bleu": interval(3, 1)}, "bleu"), "runs from 3 to 1"),
    ("merged_agrees", (0.9, ["a"] * 10, ["a"] * 9 + ["b"]), "is a share"),
    ("merged_agrees", (90, ["a"] * 10, ["a"] * 9 + ["b"]), "is a percentage"),
    ("merged_agrees", (1, ["a"] * 10, ["a"] * 9 + ["b"]), "answers that differ"),
    ("merged_agrees", (10, ["a"] * 10, ["a"] * 9 + ["b"]), "and some differ"),
    ("merged_agrees", (4, ["a"] * 10, ["a"] * 9 + ["b"]), "not the number of equal"),
    ("merged_agrees", (True, ["a"], ["a"]), "must be a number"),
    ("merged_agrees", (1, ["a", "b"], ["a", "c"]), "only 1 of 2"),
    ("merged_agrees", (1, ["a"], ["a", "b"]), "1 answers against 2"),
    ("merged_agrees", (2, ["", ""], ["", ""]), "every answer is empty"),
    ("merged_agrees", (2, "ab", "ab"), "two lists"),
]

WRONG_LORA = [
    ({"r": 0}, "adapter of rank 0"),
    ({"lora_alpha": 0}, "lora_alpha"),
    ({"task_type": None}, "not CAUSAL_LM"),
    ({"task_type": "SEQ_CLS"}, "not CAUSAL_LM"),
    ({"target_modules": None}, "not set"),
    ({"target_modules": ATTENTION}, "leaves out the MLP"),
    ({"target_modules": [*ATTENTION, "up_proj"]}, "leaves out the MLP"),
    ({"target_modules": r".*\.(q|v)_proj"}, "leaves out the MLP"),
    ({"lora_dropout": 0.9}, "between 0 and 0.5"),
    ({"lora_dropout": -0.1}, "between 0 and 0.5"),
    ({"r": 1, "lora_alpha": 200}, "multiplied by 200"),
    ({"r": 16, "lora_alpha": 0.5}, "multiplied by 0.03125"),
]

WRONG_SFT = [
    ({"completion_only_loss": None}, "completion_only_loss is None"),
    ({"completion_only_loss": False}, "completion_only_loss is False"),
    ({"eval_strategy": "no"}, "never evaluates"),
    ({"load_best_model_at_end": False}, "load_best_model_at_end"),
    ({"save_strategy": "epoch"}, "evaluates by 'steps' but saves by 'epoch'"),
    ({"save_steps": 30}, "no multiple"),
    ({"save_steps": 10}, "no multiple"),
    ({"save_steps": 0.5}, "both be shares"),
]


class Hostile:
    """Raises whatever is done with it, printing included."""

    def __getattribute__(self, name):
        raise RuntimeError("no")

    def __repr__(self):
        raise RuntimeError("no")

    __iter__ = __len__ = __float__ = __eq__ = __hash__ = __bool__ = __str__ = __repr__


GARBAGE = [
    None,
    "text",
    "",
    3,
    -1.5,
    math.nan,
    [],
    {},
    [None],
    [[1]],
    {"a": 1},
    object(),
    Hostile(),
]
GARBAGE += [np.zeros((2, 2)), lambda: 0, {"train": 1}, [{"role": "user"}]]


def said(capsys):
    out = capsys.readouterr().out
    assert out.count("\n") == 1, "a verdict is one line"
    return out


@pytest.mark.parametrize(("name", "values"), RIGHT)
def test_a_right_answer_is_correct(name, values, capsys):
    assert CHECKS[name].check(*values)
    assert said(capsys).startswith("Correct: ")


@pytest.mark.parametrize(("name", "values", "piece"), WRONG)
def test_a_wrong_answer_is_told_what_is_wrong(name, values, piece, capsys):
    assert not CHECKS[name].check(*values)
    line = said(capsys)
    assert line.startswith("Not yet: ")
    assert piece in line
    assert " Hint: " in line


@pytest.mark.parametrize("name", [name for name, check in CHECKS.items() if check.asks])
@pytest.mark.parametrize("open_answer", [None, ...])
def test_before_there_is_an_answer_it_is_the_students_turn(name, open_answer, capsys):
    values = next(values for known, values in RIGHT if known == name)
    place = list(inspect.signature(CHECKS[name].judge).parameters).index(CHECKS[name].asks)
    assert not CHECKS[name].check(*values[:place], open_answer, *values[place + 1 :])
    line = said(capsys)
    assert line.startswith("Your turn: ")
    assert f"checks.{name}.hint()" in line
    assert f"checks.{name}.solution()" in line


@pytest.mark.parametrize(
    ("name", "values", "hint"),
    [
        ("split_sizes", ({"train": SPLIT["train"], "test": SPLIT["test"]},), "Name the parts"),
        ("completion_mask", (MASKED, IDS, 2, 9), "cut before its end"),
        ("max_length_choice", (LENGTHS, 199), "go down"),
        ("perplexity_from_loss", (13.74, SUMS, COUNTS), "exponential comes last"),
        ("lora_parameters", (576 * 192, 576, 192, 16), "Count only A and B"),
        ("curves_join", (FIRST, FIRST, 1), "any two runs join"),
        ("better_than_base", (0.1817, DIFFERENCE, "field_f1"), "lower end"),
        ("better_than_base", (0.1, DIFFERENCE, "rougeL"), "Its row is empty"),
        ("merged_agrees", (2, ["", ""], ["", ""]), "ends at once"),
        ("merged_agrees", (1, ["a", "b"], ["a", "c"]), "full-precision weights"),
    ],
)
def test_a_hint_is_about_the_problem(name, values, hint, capsys):
    assert not CHECKS[name].check(*values)
    assert hint in said(capsys).partition(" Hint: ")[2]


def test_a_hint_on_a_configuration_is_about_the_problem(capsys):
    checks.lora_config.check(lora(task_type=None))
    assert 'task_type="CAUSAL_LM"' in said(capsys).partition(" Hint: ")[2]
    checks.sft_config.check(sft(completion_only_loss=None))
    assert "only the answer is learned" in said(capsys).partition(" Hint: ")[2]


@pytest.mark.parametrize(
    "targets",
    [
        "all-linear",
        ["gate_proj", "up_proj", "down_proj"],
        r".*\.mlp\..*",
        ["gate_up_proj", "down_proj"],
    ],
)
def test_a_right_lora_config_is_correct(targets):
    assert checks.lora_config.check(lora(target_modules=targets))


@pytest.mark.parametrize(("changes", "piece"), WRONG_LORA)
def test_a_wrong_lora_config_is_told_what_is_wrong(changes, piece, capsys):
    assert not checks.lora_config.check(lora(**changes))
    assert piece in said(capsys)


def test_a_larger_scale_is_right_where_alpha_is_divided_by_the_root_of_the_rank():
    assert checks.lora_config.check(lora(r=64, lora_alpha=64, use_rslora=True))
    assert not checks.lora_config.check(lora(r=4, lora_alpha=64, use_rslora=True))


def test_another_peft_config_is_no_lora_config(capsys):
    from peft import IA3Config

    assert not checks.lora_config.check(IA3Config(task_type="CAUSAL_LM"))
    assert "IA3Config" in said(capsys)


@pytest.mark.parametrize(
    "changes",
    [{}, {"save_strategy": "best"}, {"eval_steps": 0.1, "save_steps": 0.3}]
    + [{"eval_strategy": "epoch", "save_strategy": "epoch"}],
)
def test_a_right_sft_config_is_correct(changes):
    assert checks.sft_config.check(sft(**changes))


@pytest.mark.parametrize(("changes", "piece"), WRONG_SFT)
def test_a_wrong_sft_config_is_told_what_is_wrong(changes, piece, capsys):
    assert not checks.sft_config.check(sft(**changes))
    assert piece in said(capsys)


@pytest.mark.parametrize("name", CHECKS)
def test_garbage_is_not_yet_and_never_raises(name, capsys):
    for garbage in GARBAGE:
        for count in range(5):
            assert not CHECKS[name].check(*[garbage] * count)
            assert said(capsys).startswith(("Not yet: ", "Your turn: "))


@pytest.mark.parametrize(("name", "values"), RIGHT)
def test_one_garbage_value_among_right_ones_never_raises(name, values, capsys):
    for place in range(len(values)):
        for garbage in [*GARBAGE, ["\ud800"]]:
            changed = [*values[:place], garbage, *values[place + 1 :]]
            assert CHECKS[name].check(*changed) in (True, False)
            said(capsys)


def test_a_value_of_the_wrong_type_is_told_what_is_expected(capsys):
    assert not checks.lora_config.check(7)
    assert "peft.LoraConfig" in said(capsys)
    assert not checks.split_sizes.check(7)
    assert "a dict of three lists" in said(capsys)


@pytest.mark.parametrize("name", CHECKS)
def test_hint_and_solution_are_printed_and_the_hint_does_not_hold_the_solution(name, capsys):
    check = CHECKS[name]
    assert getattr(checks, name) is check
    assert check.description
    assert "\n" not in check.description
    check.hint()
    hint = said(capsys)
    check.solution()
    solution = capsys.readouterr().out
    line = check.message.example.strip()
    assert solution.strip().endswith(line)
    assert line not in hint
    compile(line, name, "exec")


def test_an_explanation_holds_the_reason_the_hint_and_the_solution(capsys):
    check = checks.effective_batch
    check.explain()
    said = capsys.readouterr().out
    for part in (check.message.why, check.message.cure, check.message.example):
        assert part.strip() in said


def test_a_value_that_cannot_be_shown_is_not_yet_too(capsys):
    config = sft(completion_only_loss=Hostile())
    assert not checks.sft_config.check(config)
    assert "a trl.SFTConfig" in said(capsys)


def test_every_check_is_tested_on_two_right_and_on_three_wrong_answers():
    for name in CHECKS.keys() - {"lora_config", "sft_config"}:  # they have tests of their own
        assert sum(case[0] == name for case in RIGHT) >= 2, name
        assert sum(case[0] == name for case in WRONG) >= 3, name


def test_a_check_can_be_called_directly(capsys):
    assert checks.effective_batch(16, batch=2, accumulation=8)
    assert said(capsys) == "Correct: 16 records a step, with memory for 2 at a time.\n"


def test_better_than_base_reads_what_the_bootstrap_writes():
    right, wrong = '{"part": "a"}', '{"part": "b"}'
    base = {"predictions": [wrong] * 20, "references": [right] * 20}
    tuned = {"predictions": [right] * 18 + [wrong] * 2, "references": [right] * 20}
    difference = metrics.paired_bootstrap(base, tuned, samples=50)
    assert checks.better_than_base.check(difference["field_f1"]["low"], difference, "field_f1")
    assert not checks.better_than_base.check(0.1, difference, "perplexity")


@pytest.mark.parametrize(
    ("ends", "metric", "verdict"),
    [
        ((0.1, 0.3), "field_f1", "excludes 0, so the tuned model is better"),
        ((-0.3, -0.1), "field_f1", "excludes 0, so the tuned model is worse"),
        ((-0.1, 0.3), "field_f1", "holds 0"),
        ((-5, -2), "perplexity", "excludes 0, so the tuned model is better"),
        ((2, 5), "perplexity", "excludes 0, so the tuned model is worse"),
        ((0, 0), "exact_match", "holds 0"),
    ],
)
def test_who_reads_the_interval_rightly_is_told_what_it_says(ends, metric, verdict, capsys):
    least = ends[1] if metric == "perplexity" else ends[0]
    assert checks.better_than_base(least, {metric: interval(*ends)}, metric)
    assert verdict in said(capsys)


def test_a_number_that_rounds_to_the_mean_is_not_taken_for_the_lower_end(capsys):
    assert not checks.better_than_base(0.16, {"bleu": interval(0.156, 0.164)}, "bleu")
    assert "is the mean" in said(capsys)
