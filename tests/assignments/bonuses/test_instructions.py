"""The instruction-following check: every kind on right and wrong answers, records, one tiny run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from course_utils import models, records
from course_utils.assignments.bonuses.instructions import exercises
from course_utils.assignments.bonuses.instructions.answering import (
    answer_prompts,
    cut,
    use_plain_format,
)
from course_utils.assignments.bonuses.instructions.checking import check_answers, compare_checks
from course_utils.assignments.bonuses.instructions.exercises import (
    Exercise,
    Topic,
    instruction_prompts,
    instruction_records,
    prompt_overlap,
    topics,
    training_exercises,
)
from course_utils.assignments.bonuses.instructions.kinds import KINDS, Constraint, follows
from course_utils.assignments.bonuses.instructions.report import (
    choose_examples,
    finding,
    plot_checks,
)
from course_utils.errors import CourseError
from course_utils.generation import Answers

SCRIPT = (
    Path(__file__).parents[3] / "assignments/week09_10_manufacturing/bonuses/instruction_tuning.py"
)
KEYS = {"keys": ["machine", "fault"]}
# kind, arguments, answers that follow, answers that do not
CASES = [
    (
        "json_keys", KEYS,
        ['{"machine": "pump", "fault": "leak"}', '```json\n{"fault": "leak", "machine": ""}\n```'],
        ['{"machine": "pump"}', '{"machine": "a", "fault": "b", "part": "c"}', "machine: pump",
         'Here: {"machine": "a", "fault": "b"}', '["machine", "fault"]', "[" * 100_000],
    ),
    ("at_most_words", {"count": 3}, ["one two three", "one"], ["one two three four"]),
    (
        "bullets", {"count": 2},
        ["- worn seal\n- dry running", "* a\n\n* b"],
        ["- worn seal", "- a\n- b\n- c", "Causes:\n- a\n- b", "-a\n-b", "- \n- b"],
    ),
    (
        "numbered_steps", {"count": 2},
        ["1. stop\n2. lock", "1) stop\n2) lock"],
        ["1. stop", "1. stop\n3. lock", "2. lock\n1. stop", "Steps:\n1. stop\n2. lock", "1.\n2."],
    ),
    ("include_word", {"word": "seal"}, ["The SEAL leaks.", "A seal."], ["The seals leak.", "Oil."]),
    ("avoid_word", {"word": "seal"}, ["The seals leak.", "Oil."], ["Seal, worn."]),
    ("lower_case", {}, ["oil at 60 °c."], ["Oil.", "60 %", "oil at 60 °C"]),
    ("upper_case", {}, ["OIL AT 60 °C."], ["OIL at 60", "60 %"]),
    (
        "begins_with", {"phrase": "Finding:"},
        ["Finding: the seal leaks."], ["finding: the seal leaks.", "The Finding: x", "Finding:"],
    ),
    (
        "ends_with", {"phrase": "End of entry."},
        ["Seal worn. End of entry."],
        ["Seal worn. End of entry", "End of entry.", "End of entry. x"],
    ),
    (
        "sentences", {"count": 2},
        ["Stop it. Lock it!", "Hold 4.5 mm/s. Then stop", "First line\nsecond line"],
        ["Stop it.", "One. Two. Three.", "One? Two.\nThree"],
    ),
    ("yes_no", {}, ["Yes", "no.", "YES!"], ["Yes, it does.", "yes no", "maybe", "yesno"]),
    (
        "number_with_unit", {"unit": "mm/s"},
        ["4.5 mm/s", "4.5mm/s.", "-3 mm/s", "1,200 mm/s"],
        ["at most 4.5 mm/s", "4.5", "4.5 mm", "mm/s", "4.5 mm/s or 5 mm/s"],
    ),
    (
        "capital_title", {},
        ["SEAL LEAK\nThe seal leaks."],
        ["Seal leak\nThe seal leaks.", "SEAL LEAK", "SEAL LEAK\nTHE SEAL LEAKS.", "SEAL\n\n"],
    ),
    (
        "separated_items", {"mark": "|", "count": 2},
        ["worn seal | dry running", "a|b"],
        ["worn seal", "a | b | c", "a |\nb", "a | ", "a ; b"],
    ),
]  # fmt: skip


def exercise(*constraints, output="answer", group="pump/leak", text="entry"):
    record = {"instruction": "Do it.", "input": text, "output": output, "group": group}
    return Exercise(record, constraints, "template")


ONE = exercise(Constraint("lower_case"))
TWO = exercise(Constraint("lower_case"), Constraint("sentences", {"count": 1}))
NEW = exercise(Constraint("upper_case"))


# --- every kind of instruction ---


@pytest.mark.parametrize(("kind", "arguments", "right", "wrong"), CASES, ids=[c[0] for c in CASES])
def test_a_kind_tells_right_answers_from_wrong_ones(kind, arguments, right, wrong):
    assert [follows(kind, answer, **arguments) for answer in right] == [True] * len(right)
    assert [follows(kind, answer, **arguments) for answer in wrong] == [False] * len(wrong)


def test_every_kind_has_a_case_here_and_a_description_of_one_line():
    assert {case[0] for case in CASES} == set(KINDS)
    assert all(0 < len(k.description.splitlines()) <= 1 for k in KINDS.values())


@pytest.mark.parametrize(("kind", "arguments"), [case[:2] for case in CASES])
@pytest.mark.parametrize("answer", ["", " \n "])
def test_an_empty_answer_follows_nothing(kind, arguments, answer):
    assert not follows(kind, answer, **arguments)


def test_spaces_around_an_answer_do_not_matter():
    assert follows("yes_no", " Yes\n")


def test_an_unknown_kind_is_named_with_the_known_ones():
    with pytest.raises(CourseError, match="'rhyme'") as error:
        follows("rhyme", "text")
    assert "json_keys" in error.value.cure


# --- training records and prompts of the check ---


@pytest.fixture(scope="module")
def training():
    return training_exercises(seed=1, count=600)


@pytest.fixture(scope="module")
def prompts():
    return instruction_prompts(seed=1, count=240)


@pytest.mark.parametrize("seed", range(5))
def test_every_training_answer_follows_its_instructions(seed):
    made = training_exercises(seed, 200)
    assert all(all(one.follows(one.record["output"])) for one in made)


def test_the_answers_that_the_check_compares_with_follow_their_instructions(prompts):
    assert all(all(one.follows(one.record["output"])) for one in prompts)


def test_records_are_valid_and_no_prompt_is_there_twice(training):
    made = [one.record for one in training]
    assert [p for r in made for p in records.validate(r, "manufacturing")] == []
    assert len({(r["instruction"], r["input"]) for r in made}) == len(made) == 600


def test_training_and_check_share_no_prompt_no_entry_and_no_failure_mode(training, prompts):
    shared = prompt_overlap([one.record for one in training], prompts)
    assert shared == {"prompts": 0, "entries": 0, "near_entries": 0, "topics": 0}


def test_an_overlap_is_counted():
    same = exercise(Constraint("lower_case"), text="seal leakage of the pump, worn faces")
    shared = prompt_overlap([same.record], [same])
    assert shared == {"prompts": 1, "entries": 1, "near_entries": 0, "topics": 1}


def test_wordings_and_phrases_of_the_check_are_not_trained():
    for kind in KINDS.values():
        assert not set(kind.wordings.get("train", [])) & set(kind.wordings["check"])
    for name in ("beginnings", "endings"):
        assert not set(exercises.SAY[name]["train"]) & set(exercises.SAY[name]["check"])
    words = [set(exercises.SAY[entry]) for entry in exercises.WORDS.values()]
    assert not words[0] & words[1]


def test_training_holds_every_kind_but_the_two_that_only_the_check_has(training, prompts):
    trained = {c.kind for one in training for c in one.constraints}
    assert set(KINDS) - trained == {"numbered_steps", "upper_case"}
    assert {c.kind for one in prompts for c in one.constraints} == set(KINDS)


def test_no_kind_carries_more_than_a_fifth_of_the_training_instructions(training):
    kinds = [c.kind for one in training for c in one.constraints]
    assert max(kinds.count(kind) for kind in set(kinds)) <= len(kinds) / 5


def test_answers_say_only_what_the_entry_says(training):
    """The content words of items, figures and JSON values stand in the entry."""
    formats = {"number_with_unit", "bullets", "separated_items", "json_keys"}
    asked = [one for one in training if one.constraints[0].kind in formats]
    assert len(asked) > 100
    for one in asked:
        answer = one.record["output"]
        if one.constraints[0].kind == "json_keys":
            answer = " ".join(json.loads(answer).values())
        words = {word.strip(",;:()").lower() for word in answer.split() if word.strip("-|;/")}
        assert words <= {w.strip(",;:()").lower() for w in one.record["input"].split()}


def test_a_number_of_sentences_or_words_leaves_room_for_an_answer(training, prompts):
    for one in (*training, *prompts):
        asked = {constraint.kind: constraint.arguments for constraint in one.constraints}
        assert asked.get("sentences", {"count": 2})["count"] in (2, 3, 4)
        least = 2 if one.constraints[0].kind in ("bullets", "separated_items") else 5
        assert asked.get("at_most_words", {"count": least})["count"] >= least


def test_yes_means_that_the_cause_stands_in_the_entry(training):
    asked = [one for one in training if one.constraints[0].kind == "yes_no"]
    answers = set()
    for one in asked:
        answer = one.record["facts"].removeprefix("answer=").split(" | ")[0]
        causes = [x for topic in topics("train") for x in topic.mode.causes]
        named = max((c for c in causes if c in one.record["instruction"]), key=len)
        assert (named in one.record["input"]) == (answer == "yes")
        answers.add(answer)
    assert answers == {"yes", "no"}


def test_the_same_seed_gives_the_same_records_and_another_seed_gives_others():
    first, again, other = (instruction_records(seed, 30) for seed in (3, 3, 4))
    assert first == again
    assert first != other


@pytest.mark.parametrize("count", [0, -3])
def test_a_count_below_one_is_refused(count):
    with pytest.raises(CourseError, match="at least one|asked for"):
        instruction_records(0, count)


def test_an_unknown_part_is_refused():
    with pytest.raises(CourseError, match="'val'"):
        topics("val")


def test_a_kind_that_no_topic_can_serve_is_named(monkeypatch):
    """A failure mode whose checks have no unit has no question for a number with a unit."""
    topic = topics("check")[0]
    checks = [check.model_copy(update={"unit": ""}) for check in topic.mode.checks]
    bare = Topic(topic.equipment, topic.mode.model_copy(update={"checks": checks}))
    monkeypatch.setattr(exercises, "topics", lambda part: [bare])
    monkeypatch.setattr(exercises, "combinations", lambda part: [("number_with_unit",)])
    with pytest.raises(CourseError, match="number_with_unit"):
        instruction_prompts(0, 1)


# --- the check ---


def test_levels_are_shares_of_prompts_and_of_instructions():
    result = check_answers(
        ["small", "two. sentences.", "Large"], [ONE, TWO, NEW], [True, False, False]
    )
    assert result["followed"] == [[True], [True, False], [False]]
    assert result["prompt_level"]["mean"] == pytest.approx(1 / 3)
    assert result["instruction_level"]["mean"] == pytest.approx(2 / 4)
    assert result["stops"]["mean"] == pytest.approx(1 / 3)
    assert result["kinds"]["lower_case"]["count"] == 2
    assert result["kinds"]["lower_case"]["mean"] == 1
    assert result["trained_kinds"]["mean"] == 0.5
    assert result["new_kinds"]["mean"] == 0


def test_the_interval_of_one_prompt_in_three_is_wilsons():
    """By hand: (1/3 + z²/6 ± z sqrt(2/27 + z²/36)) / (1 + z²/3) with z = 1.96."""
    result = check_answers(["small", "Large", "Large"], [ONE, ONE, ONE])
    assert result["prompt_level"]["low"] == pytest.approx(0.0615, abs=5e-4)
    assert result["prompt_level"]["high"] == pytest.approx(0.7923, abs=5e-4)
    assert result["stops"] is None


def test_the_difference_is_paired():
    """The same prompt fails before and after: on no draw is the gain less than on the others."""
    prompts = [ONE] * 4
    before = check_answers(["A", "A", "A", "A"], prompts, [False] * 4)
    after = check_answers(["a", "a", "a", "A"], prompts, [True] * 4)
    gain = compare_checks(before, after)
    assert gain["prompt_level"]["mean"] == 0.75
    assert 0 <= gain["prompt_level"]["low"] < 0.75 < gain["prompt_level"]["high"] <= 1
    assert gain["stops"] == {"mean": 1, "low": 1, "high": 1}
    same = compare_checks(before, before)
    assert same["instruction_level"] == {"mean": 0, "low": 0, "high": 0}


def test_checks_of_different_prompts_are_not_compared():
    before = check_answers(["a"], [ONE])
    with pytest.raises(CourseError, match="different prompts"):
        compare_checks(before, check_answers(["a"], [TWO]))


@pytest.mark.parametrize(
    ("answers", "prompts", "stopped"),
    [([], [], None), (["a"], [ONE, ONE], None), (["a"], [ONE], [True, False])],
)
def test_counts_that_do_not_fit_are_refused(answers, prompts, stopped):
    with pytest.raises(CourseError):
        check_answers(answers, prompts, stopped)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("The seal.\n### user\nAnd now?", "The seal."),
        ("### assistant\nx", ""),
        ("# A title\nThe seal.", "# A title\nThe seal."),
        ("The seal.", "The seal."),
    ],
)
def test_an_answer_is_cut_where_the_next_role_begins(text, kept):
    assert cut(Answers([text], [False])) == [kept]


@pytest.mark.parametrize("count", [1, 3, 7, 49])
def test_the_figure_takes_shares_of_zero_and_one(count):
    """Rounding put the end of an interval a hair inside the share itself, for some counts."""
    prompts = [ONE] * count
    before = check_answers(["A"] * count, prompts)
    after = check_answers(["a"] * count, prompts)
    figure = plot_checks(before, after, "Better")
    assert f"lower case (n = {count})" in [t.get_text() for t in figure.axes[0].get_yticklabels()]


def test_the_finding_says_what_the_interval_says():
    before, after = ({"prompt_level": {"mean": m, "low": 0, "high": 1}} for m in (0.2, 0.6))
    for low, high, words in ((0.1, 0.5, "more often"), (-0.1, 0.5, "no clear"), (-2, -1, "less")):
        gain = {"prompt_level": {"mean": 0.4, "low": low, "high": high}}
        text = finding(gain, before, after)
        assert words in text
        assert "20 % of the prompts before, 60 % after" in text


def test_examples_hold_a_gain_and_a_failure_where_there_are_any():
    def row(name, before, after):
        return {"name": name, "before": {"followed": [before]}, "after": {"followed": [after]}}

    rows = [
        row("a", True, True),
        row("b", False, False),
        row("c", False, True),
        row("d", True, True),
    ]
    assert [r["name"] for r in choose_examples(rows)] == ["c", "b", "a"]
    assert len(choose_examples(rows[:1])) == 1


# --- with a model ---


@pytest.fixture(scope="module")
def nano():
    tokenizer = models.load_tokenizer("nano")
    use_plain_format(tokenizer, "nano")
    return models.load_model("nano"), tokenizer


def test_a_prompt_in_the_plain_format_has_no_chat_token(nano, prompts):
    from course_utils import chat

    _, tokenizer = nano
    ids = chat.prompt_ids(chat.record_messages(prompts[0].record, tokenizer)["prompt"], tokenizer)
    text = tokenizer.decode(ids)
    assert text.startswith("### system\n")
    assert text.endswith("### assistant\n")
    assert "<|im_start|>" not in text


def test_a_model_that_never_ends_does_not_stop_and_one_that_must_end_does(nano, prompts):
    import torch

    model, tokenizer = nano
    going_on = answer_prompts(model, tokenizer, prompts[:3], 4)
    assert going_on.stopped == [False] * 3

    end = tokenizer.eos_token_id
    hook = model.lm_head.register_forward_hook(
        lambda module, given, logits: torch.nn.functional.one_hot(
            torch.full(logits.shape[:2], end), logits.shape[-1]
        ).float()
    )
    try:
        ended = answer_prompts(model, tokenizer, prompts[:3], 4)
    finally:
        hook.remove()
    assert (ended.texts, ended.stopped) == ([""] * 3, [True] * 3)


def test_answers_stay_with_their_prompts_whatever_the_batch_size(nano, prompts):
    model, tokenizer = nano
    one = answer_prompts(model, tokenizer, prompts[:4], 3, batch_size=1)
    assert answer_prompts(model, tokenizer, prompts[:4], 3, batch_size=4) == one


def run_script(*arguments, folder):
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=170)


def test_the_script_trains_checks_twice_and_writes_a_complete_report(tmp_path):
    out = tmp_path / "made"
    done = run_script("--base-model", "nano", "--train-records", "4", "--prompts", "3",
                      "--out", str(out), folder=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == f"Report: {out / 'instruction_tuning.md'}"
    result = json.loads((out / "instruction_tuning.json").read_text(encoding="utf-8"))
    assert result["training"]["records"] == 4
    assert result["before"]["prompts"] == result["after"]["prompts"] == len(result["answers"]) == 3
    assert {"seed", "versions", "hardware", "command"} <= set(result)
    text = (out / "instruction_tuning.md").read_text(encoding="utf-8")
    assert "nano" in text
    assert "never trained on" in text
    assert "## Three prompts" in text
    assert (out / "instruction_tuning.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "adapter" / "adapter_model.safetensors").is_file()


@pytest.mark.parametrize("arguments", [("--train-records", "0"), ("--prompts", "-1")])
def test_a_wrong_count_is_two_lines_and_no_traceback(tmp_path, arguments):
    done = run_script("--base-model", "nano", *arguments, folder=tmp_path)
    assert done.returncode == 1
    assert "Error:" in done.stderr
    assert "Cure:" in done.stderr
    assert "Traceback" not in done.stderr
