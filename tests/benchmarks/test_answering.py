"""The benchmark's own way to ask is a fair one: the same answers as the kit's, to the letter."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from random_models import wandering_llama

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import answering

from course_utils import chat
from course_utils.errors import CourseError

PROMPTS = [
    [{"role": "user", "content": "Which part leaks?"}],
    [{"role": "user", "content": "Name the part that leaks oil on the left side of the machine."}],
    [{"role": "user", "content": "Why?"}],
]


@pytest.fixture(scope="module")
def questions(tokenizer):
    answer = [{"role": "assistant", "content": "The pump."}]
    examples = [chat.tokenize_messages(prompt, answer, tokenizer) for prompt in PROMPTS]
    model = wandering_llama(tokenizer)
    return answering.Questions(model, tokenizer, PROMPTS, examples, [3, 6, 9])


@pytest.mark.parametrize("name", [name for name in answering.WAYS if name != "`generate_batch`"])
@pytest.mark.parametrize("size", [1, 3])
def test_every_way_gives_each_answer_within_its_own_limit(questions, name, size):
    found = answering.WAYS[name](questions, size)
    alone = [
        answering.plain(replace(questions, messages=[one], limits=[limit]), 1)
        for one, limit in zip(questions.messages, questions.limits, strict=True)
    ]
    assert found == [text for (text,) in alone]
    assert len(set(found)) == len(found)


def test_the_table_has_a_column_a_way():
    ways = [
        {"name": name, "processor_s": 2.0, "wall_s": 2.5, "tokens": 1000, "same": 3}
        for name in answering.WAYS
    ]
    table = answering.table({"ways": ways, "options": {"records": "3"}})
    assert [column.header for column in table.columns][1:] == list(answering.WAYS)


def test_data_that_are_not_there_are_named(tmp_path, capsys, monkeypatch):
    out = tmp_path / "out.json"
    monkeypatch.setattr(sys, "argv", ["answering.py", str(tmp_path / "none"), "--out", str(out)])
    assert answering.main() == 1
    assert "test.jsonl: there is no such file" in capsys.readouterr().err
    assert not out.exists()


def test_the_ways_asked_for_are_measured_in_the_tables_order():
    assert answering.chosen("") == list(answering.WAYS)
    assert answering.chosen(" the kit; `generate`") == ["`generate`", "the kit"]
    with pytest.raises(CourseError, match="no way is called 'the cat'"):
        answering.chosen("the cat")
