"""One reader: what `course data check` accepts is what every script and notebook reads, alike.

Any JSON value in any field of a file: the check and each reader give the same verdict and the same
records, and nothing but a CourseError comes out.
"""

import argparse
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from course_utils import chat, records, schemas, splits
from course_utils.assignments.selection import choosing
from course_utils.errors import CourseError
from course_utils.lab import explore
from course_utils.lab import questions as lab_questions
from course_utils.lab import runs as lab_runs

PROPERTY = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,  # the same files in every run
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
COUNT = 5
RIGHT = {
    "manufacturing": [
        {"instruction": f"Form {i}: fill in.", "input": f"order {i * 7919}", "output": f"part {i}"}
        for i in range(COUNT)
    ],
    "geology": [
        {"system": "", "instruction": f"Question {i * 7919}?", "context": "", "answer": f"{i} nm."}
        for i in range(COUNT)
    ],
}  # fmt: skip
FIELDS = sorted({name for rules in schemas.SCHEMAS.values() for name in rules.fields})
NAMES = (
    st.sampled_from(FIELDS)
    | st.sampled_from(["messages", "prompt", "Input", " answer", "SYSTEM", "data", ""])
    | st.text(max_size=8)
)
TEXTS = st.text(max_size=20) | st.sampled_from(["\u2028", "\u200b", "<|im_end|>", "NaN", " x "])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@st.composite
def changed_files(draw):
    """The lines of a right file, in which some fields hold anything, are renamed or are gone."""
    rows = [dict(row) for row in RIGHT[draw(st.sampled_from(sorted(RIGHT)))]]
    everywhere = draw(st.booleans())  # a whole column, or one cell
    name = draw(NAMES)
    for row in rows if everywhere else rows[draw(st.integers(0, COUNT - 1)) :][:1]:
        if draw(st.sampled_from(["change", "change", "remove"])) == "change":
            row[name] = draw(VALUES)
        else:
            row.pop(name, None)
    return "".join(json.dumps(row, ensure_ascii=draw(st.booleans())) + "\n" for row in rows)


@pytest.fixture(scope="module")
def new_file(tmp_path_factory):
    """Writes a data.jsonl in a new folder; one fixture serves all generated examples."""

    def write(content):
        path = tmp_path_factory.mktemp("data") / "data.jsonl"
        path.write_bytes(content.encode("utf-8", "surrogatepass"))
        return path

    return write


def by_check(path):
    """What the check accepts, line by line; what takes two lines to see is no matter of reading."""
    report = records.check_file(path, near=None)
    first = [p for p in report.errors if p.kind not in ("duplicate", "conflict")]
    if first:
        raise CourseError(first[0].message, first[0].cure)
    return [record for _, record in report.records]


def by_lab_run(path):
    options = argparse.Namespace(data=path, eval_data=path, val_share=0.3, seed=1)
    train, validation = lab_runs.read_parts(options)
    assert train == validation
    return train


def by_sliders(path):
    return explore.Lab(data=path, static=True)._records


def by_selection(path):
    test, train = choosing.load_data(path, COUNT, seed=1)
    return [*train, *test]


def by_script(path):
    """As train.py and evaluate.py of weeks 9-10 read, which name the schema."""
    return records.read_records(path, records.check_file(path, near=None).schema)


READERS = (records.read_records, by_lab_run, by_sliders, by_script)


def outcome(read, path):
    try:
        return read(path)
    except CourseError:
        return None


@PROPERTY
@given(changed_files())
def test_the_check_and_every_reader_give_one_verdict_and_the_same_records(new_file, content):
    path = new_file(content)
    accepted = outcome(by_check, path)
    for read in READERS:
        assert outcome(read, path) == accepted, read
    chosen = outcome(by_selection, path)
    assert (chosen is None) == (accepted is None)
    for record in accepted or []:
        assert record in chosen
        name = schemas.schema_of(record)
        assert set(record) <= set(schemas.SCHEMAS[name].fields)
        messages = chat.record_messages(record)
        said = [*messages["prompt"], *messages["completion"]]
        assert all(isinstance(turn["content"], str) for turn in said)
        assert isinstance(splits.text_of(record), str)


@PROPERTY
@given(changed_files())
def test_what_write_makes_is_accepted_by_all(new_file, content):
    path = new_file(content)
    try:
        report = records.check_file(path, near=None)
        fixed = path.with_name("fixed.jsonl")
        records.write_corrected(report, fixed)
    except CourseError:
        return
    accepted = by_check(fixed)
    assert accepted
    assert all(read(fixed) == accepted for read in READERS)


@PROPERTY
@given(changed_files())
def test_questions_are_read_or_refused_by_line(new_file, content):
    path = new_file(content)
    questions = outcome(lab_questions.read_questions, path)
    for question in questions or []:
        prompt = chat.record_messages(question.record("You are a geologist."))["prompt"]
        assert all(isinstance(turn["content"], str) for turn in prompt)


@settings(PROPERTY, max_examples=25)
@given(changed_files())
def test_what_is_accepted_is_rendered_and_cut_into_tokens(new_file, tokenizer, content):
    for record in outcome(by_check, new_file(content)) or []:
        tokens = chat.tokenize_record(record, tokenizer)
        assert tokens.completion_length > 0
