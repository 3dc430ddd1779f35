"""The integrity report: every planted cheat is in it, no honest work is; nothing is deducted."""

import numpy as np
import pytest
from grade_class import make_result

from course_utils.grading.finding import MESSAGES
from course_utils.grading.fingerprints import (
    adapter_sketch,
    code_prints,
    cosine,
    likeness,
    text_prints,
)
from course_utils.grading.integrity import TITLES, suspicions
from course_utils.grading.results import Fingerprints, Stated
from course_utils.grading.totals import total

STARTER = """
def load(path):
    with open(path) as file:
        return [line.strip() for line in file if line.strip()]

def train(model, records, settings):
    raise NotImplementedError
"""
OWN = """
def train(model, records, settings):
    best = None
    for epoch in range(settings["epochs"]):
        total = 0.0
        for batch in batches(records, settings["batch_size"]):
            loss = model(**batch).loss / settings["accumulation"]
            loss.backward()
            total += float(loss)
        score = evaluate(model, records[-50:])
        if best is None or score > best:
            best = score
            model.save_pretrained(settings["out"])
        print(f"epoch {epoch}: {total:.3f} {score:.3f}")
    return best
"""
OTHER = """
def train(model, records, settings):
    config = SFTConfig(output_dir=settings["out"], num_train_epochs=settings["epochs"])
    trainer = SFTTrainer(model=model, args=config, train_dataset=Dataset.from_list(records))
    result = trainer.train()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    Path(settings["out"], "log.json").write_text(json.dumps(losses))
    assert losses[-1] < losses[0], "the loss did not fall"
    trainer.save_model()
    return result.training_loss
"""
ESSAY = (
    "We removed work orders that name no part, since an answer cannot be checked against them. "
    "Near copies went into one group, and a group into one part, so no test record has a twin in "
    "training. Of five thousand records forty were read by hand; three labels were wrong and were "
    "mended. The longest order has sixty words, which is why answers are cut at ninety tokens. "
)


def layers(seed, rank=4, names=("q", "v"), size=24):
    rng = np.random.default_rng(seed)
    return [(n, rng.normal(size=(rank, size)), rng.normal(size=(size, rank)), 2.0) for n in names]


def student(number, **integrity):
    return make_result(
        number, integrity=Fingerprints(**({"adapter": f"{number:064x}"} | integrity))
    )


def found(*students):
    return {(own.kind.partition(".")[2], own.submissions) for own in suspicions(students)}


# --- Adapters -----------------------------------------------------------------------------------


def test_identical_adapters_are_found_in_every_pair():
    a, b, c, d = (student(n, adapter="same" if n < 3 else "own") for n in range(4))
    pairs = ((a, b), (a, c), (b, c))
    expected = {("adapter_same", (x.submission, y.submission)) for x, y in pairs}
    assert found(a, b, c, d) == expected


@pytest.mark.parametrize("noise", [0.01, 0.1, 0.2])
def test_an_adapter_with_noise_added_is_found(noise):
    rng = np.random.default_rng(1)
    original = layers(0)
    copy = [(n, a + noise * rng.normal(size=a.shape), b, s) for n, a, b, s in original]
    one, two = student(0, sketch=adapter_sketch(original)), student(1, sketch=adapter_sketch(copy))
    assert found(one, two) == {("adapter_near", (one.submission, two.submission))}


def test_the_same_change_written_otherwise_is_found():
    """B R and R^-1 A give the same product with other bytes, and another rank pads with nothing."""
    original = layers(0)
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(4, 4)))[0]
    turned = [(n, turn.T @ a, b @ turn, s) for n, a, b, s in original]
    wider = [(n, np.vstack([a, a]), np.hstack([b, b]) / 2, s) for n, a, b, s in original]
    for copy in (turned, wider):
        assert cosine(adapter_sketch(original), adapter_sketch(copy)) == pytest.approx(1, abs=1e-4)


def test_adapters_trained_apart_are_not_found():
    students = [student(n, sketch=adapter_sketch(layers(n))) for n in range(12)]
    assert found(*students) == set()


def test_the_sketchs_cosine_is_near_the_products_own():
    def product(own):
        return np.concatenate([(s * b @ a).ravel() for _, a, b, s in own])

    rng = np.random.default_rng(3)
    first = layers(0, size=64)
    for noise in (0.1, 0.5, 1.0):
        second = [(n, a + noise * rng.normal(size=a.shape), b, s) for n, a, b, s in first]
        x, y = product(first), product(second)
        exact = x @ y / np.linalg.norm(x) / np.linalg.norm(y)
        # Five standard errors of a cosine from 512 numbers with heavier tails than normal.
        assert cosine(adapter_sketch(first), adapter_sketch(second)) == pytest.approx(
            exact, abs=0.2
        )


def test_an_adapter_that_changes_nothing_has_no_sketch_and_matches_nobody():
    nothing = [(n, a, 0 * b, s) for n, a, b, s in layers(0)]
    assert adapter_sketch(nothing) == []
    assert cosine([], []) == 0
    assert found(student(0), student(1)) == set()


def test_the_same_adapter_gives_the_same_sketch_in_every_process():
    assert adapter_sketch(layers(0))[:2] == pytest.approx(adapter_sketch(layers(0))[:2])
    assert text_prints("One, two!").digest == text_prints("one two").digest


# --- Code and text ------------------------------------------------------------------------------


def wrote(number, code=None, text=None):
    prints = {}
    if code is not None:
        prints["code"] = {"scripts/train.py": code_prints(STARTER + code, STARTER)}
    if text is not None:
        prints["text"] = {"README.md": text_prints(text)}
    return student(number, **prints)


def test_renamed_and_commented_code_is_still_the_same():
    disguised = (
        OWN.replace("best", "champion")
        .replace("total", "s")
        .replace("        score", "        # my own idea\n        score")
    )
    one, two, three = wrote(0, OWN), wrote(1, disguised), wrote(2, OTHER)
    assert found(one, two, three) == {("copied_same", (one.submission, two.submission))}


def test_a_copied_half_is_found():
    half = OWN.partition("        if best")[0]
    one, two = wrote(0, OWN), wrote(1, half + OTHER.partition("\n    ")[2])
    assert {kind for kind, _ in found(one, two)} <= {"copied_code"}
    left, right = (set(s.integrity.code["scripts/train.py"].marks) for s in (one, two))
    assert likeness(left, right) > 0.4


def test_the_starter_and_what_the_whole_class_has_are_no_copy():
    assert found(wrote(0, ""), wrote(1, "")) == set()
    given = code_prints(STARTER, STARTER)
    assert given.marks == []
    assert given.size > 0


def test_what_many_of_the_class_have_is_no_copy():
    idiom = OWN
    students = [wrote(n, f"{idiom}\nx{n} = [{n}]\n" + f"print({n} + 1)\n" * n) for n in range(10)]
    assert not {kind for kind, _ in found(*students)} & {"copied_code"}


def test_copied_text_is_found_and_a_shared_subject_is_not():
    other = (
        "Orders without a part were dropped: nobody could judge what the model says of them. "
        "Grouping keeps twins together. I read forty lines myself, and corrected three labels "
        "before training; sixty words is the longest, so ninety tokens are enough for answers."
    )
    one, two, three = wrote(0, text=ESSAY), wrote(1, text="Hello. " + ESSAY), wrote(2, text=other)
    assert found(one, two, three) == {("copied_text", (one.submission, two.submission))}


@pytest.mark.parametrize(
    "source", ["", "x", "\0" * 1000, "(" * 50_000, "'''" * 999, "é́\u202e" * 99]
)
def test_no_source_breaks_the_fingerprints(source):
    assert code_prints(source).digest
    assert text_prints(source).digest


# --- One submission -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("test", "new", "kinds"),
    [(0.3, 1.7, {"test_known"}), (1.6, 1.7, set()), (0.05, 0.2, set()), (None, 1.7, set())],
)
def test_a_loss_far_below_that_on_new_records_is_found(test, new, kinds):
    assert {kind for kind, _ in found(student(0, test_loss=test, new_loss=new))} == kinds


def test_figures_that_differ_untouched_files_and_warnings_are_found():
    stated = [
        Stated(name="eval_loss", stated="1.2", found="1.9", agrees=False),
        Stated(name="perplexity", stated="3.3", found="3.3", agrees=True),
    ]
    own = student(0, stated=stated, untouched=["README.md"], hollow=["hollow.nano"])
    assert {kind for kind, _ in found(own)} == {"stated", "untouched", "hollow"}
    said = next(s.said.found for s in suspicions([own]) if s.kind == "integrity.stated")
    assert said == "eval_loss: 1.2 stated, 1.9 recomputed"


def test_every_kind_has_a_heading_and_what_is_hollow_is_said_in_words():
    assert TITLES.keys() == {name for name in MESSAGES.known if name.startswith("integrity.")}
    [one] = suspicions([student(0, hollow=["hollow.nano", "hollow.zero"])])
    assert one.said.found == (
        "an adapter of nano, the model for trying out, scores of nothing but 0"
    )


def test_no_finding_costs_a_point():
    from grade_class import rubric

    honest = make_result(0)
    cheat = make_result(0, integrity=Fingerprints(adapter="x", test_loss=0.1, new_loss=2.0))
    assert total(honest, rubric()).points == total(cheat, rubric()).points
