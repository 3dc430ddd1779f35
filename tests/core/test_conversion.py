"""Chat and instruction files become records, and what could not be mapped is counted by line."""

import json
import shlex

import pytest
from typer.testing import CliRunner

from course_utils import chat, conversion, records
from course_utils.commands.main import command_line
from course_utils.errors import CourseError

ASKED, ANSWER, ROLE = "Which mineral absorbs at 2.2 um?", "Kaolinite.", "You are a geologist."
FORMS = {
    "messages (OpenAI chat)": {
        "messages": [
            {"role": "system", "content": ROLE},
            {"role": "user", "content": ASKED},
            {"role": "assistant", "content": ANSWER},
        ]
    },
    "conversations (ShareGPT)": {
        "system": ROLE,
        "conversations": [{"from": "human", "value": ASKED}, {"from": "gpt", "value": ANSWER}],
    },
    "prompt/completion (messages)": {
        "prompt": [{"role": "system", "content": ROLE}, {"role": "user", "content": ASKED}],
        "completion": [{"role": "assistant", "content": ANSWER}],
    },
    "prompt/completion": {"system": ROLE, "prompt": ASKED, "completion": ANSWER},
    "question/answer": {"System": ROLE, "Question": ASKED, "Answer": ANSWER},
    "Alpaca": {"system": ROLE, "instruction": ASKED, "input": "", "output": ANSWER},
    "Dolly": {"system": ROLE, "instruction": ASKED, "context": "", "response": ANSWER},
    "geology": {"system": ROLE, "instruction": ASKED, "context": None, "answer": ANSWER},
}
TURNS = FORMS["messages (OpenAI chat)"]["messages"]


@pytest.fixture
def write(tmp_path):
    def write_file(*contents, name="others.jsonl"):
        path = tmp_path / name
        lines = [json.dumps(c, ensure_ascii=False) + "\n" for c in contents]
        path.write_text("".join(lines), encoding="utf-8")
        return path

    return write_file


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("schema", records.SCHEMAS)
def test_each_form_becomes_the_same_conversation(write, tmp_path, form, schema):
    result = conversion.convert_file(write(FORMS[form]), schema)
    assert (dict(result.forms), result.left_out) == ({form: 1}, {})
    out = conversion.write_conversion(result, tmp_path / "out.jsonl")
    (record,) = records.read_records(out, schema)
    messages = chat.record_messages(record)
    told = [(turn["role"], turn["content"]) for turn in messages["prompt"] + messages["completion"]]
    assert told == [("system", ROLE), ("user", ASKED), ("assistant", ANSWER)]


def test_a_context_stays_apart_from_the_question(write):
    dolly = {"instruction": "Sum up.", "context": "A long text.", "response": "Short."}
    (record,) = conversion.convert_file(write(dolly), "geology", system=ROLE).records
    assert record == {
        "system": ROLE,
        "instruction": "Sum up.",
        "context": "A long text.",
        "answer": "Short.",
    }
    (record,) = conversion.convert_file(write(dolly), "manufacturing").records
    assert record == {"instruction": "Sum up.", "input": "A long text.", "output": "Short."}


def test_fields_of_the_schema_come_along_and_others_are_counted(write):
    more = {"group": "g1", "source": "field trip", "category": "qa", "id": 7}
    result = conversion.convert_file(write(FORMS["Alpaca"] | more), "geology")
    assert (result.records[0]["group"], result.records[0]["source"]) == ("g1", "field trip")
    assert result.dropped == {"category": 1, "id": 1}
    assert "no place for `category` in the geology schema: 1 dropped" in "".join(
        result.summary_lines()
    )


def test_a_role_beside_a_context_has_no_place_in_manufacturing(write):
    both = FORMS["geology"] | {"context": "SWIR"}
    assert conversion.convert_file(write(both), "manufacturing").dropped == {"system": 1}


NOT_MAPPED = {
    "several turns": [{"messages": TURNS + TURNS[1:]}, FORMS["Alpaca"] | {"history": [["a", "b"]]}],
    "no answer": [{"messages": TURNS[:2]}, {"prompt": ASKED}, {"messages": []}],
    "no question": [{"messages": TURNS[2:]}, {"completion": ANSWER}],
    "an empty answer": [FORMS["Dolly"] | {"response": " "}],
    "an empty question": [FORMS["Dolly"] | {"instruction": ""}],
    "a tool's turn or an unknown role": [{"messages": [*TURNS, {"role": "tool", "content": "1"}]}],
    "a turn without text": [{"messages": [*TURNS[:2], {"role": "assistant", "content": None}]}],
    "a turn that is no object": [{"messages": ["hello", "hi"]}],
    "an image or another part that is no text": [
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}
    ],
    "fields that are not known (title, body)": [{"title": "a", "body": "b"}],
    "two fields for one part (instruction, question)": [
        FORMS["Alpaca"] | {"question": "What is 2 + 2?"}
    ],
    "two fields for one part (input, context)": [
        FORMS["Alpaca"] | {"input": "one text", "context": "another"}
    ],
    "no record that can be read (not-an-object)": [["a", "b"]],
}  # fmt: skip


def test_what_cannot_be_mapped_is_counted_with_its_lines(write):
    rows = [(reason, row) for reason, rows in NOT_MAPPED.items() for row in rows]
    path = write(FORMS["Alpaca"], *(row for _, row in rows))
    result = conversion.convert_file(path, "geology")
    wanted = {}
    for number, (reason, _) in enumerate(rows, start=2):
        wanted.setdefault(reason, []).append(number)
    assert result.left_out == wanted
    assert (result.read, len(result.records)) == (len(rows) + 1, 1)
    said = "\n".join(result.summary_lines())
    assert "not mapped: 2 with several turns (lines 2, 3)" in said


def test_text_parts_of_a_turn_are_joined(write):
    parts = [{"type": "text", "text": "Which mineral "}, {"type": "text", "text": "is it?"}]
    row = {"messages": [{"role": "user", "content": parts}, TURNS[2]]}
    (record,) = conversion.convert_file(write(row), "geology").records
    assert record["instruction"] == "Which mineral is it?"


def test_an_array_of_chats_is_read_and_named_by_record(tmp_path):
    path = tmp_path / "chats.json"
    chats = [FORMS["messages (OpenAI chat)"], {"messages": TURNS[:2]}]
    path.write_text(json.dumps(chats, indent=1), encoding="utf-8")
    result = conversion.convert_file(path, "geology")
    assert len(result.records) == 1
    assert "(record 2)" in result.summary_lines()[1]


def test_nothing_is_written_where_nothing_maps_or_over_the_file_that_was_read(write):
    path = write({"messages": TURNS[:2]})
    result = conversion.convert_file(path, "geology")
    with pytest.raises(CourseError, match="no line could be mapped") as caught:
        conversion.write_conversion(result, path.with_name("out.jsonl"))
    assert "1 with no answer" in caught.value.cure
    assert not path.with_name("out.jsonl").exists()
    good = write(FORMS["Alpaca"])
    with pytest.raises(CourseError, match="the file that was read"):
        conversion.write_conversion(conversion.convert_file(good, "geology"), good)


def test_the_command_says_last_where_the_result_is(write, tmp_path):
    path, out = write(*FORMS.values(), {"messages": TURNS[:2]}), tmp_path / "our records.jsonl"
    words = ["data", "convert", str(path), "--to", "geology", "--out", str(out)]
    done = CliRunner().invoke(command_line(), words)
    assert done.exit_code == 0
    *_, following, last = done.output.strip().splitlines()
    assert last == f"Records: {out} (8 of 9)"
    assert shlex.split(following.partition(": ")[2]) == ["course", "data", "check", str(out)]
    assert len(records.read_records(out)) == 8


@pytest.mark.parametrize("form", ["messages (OpenAI chat)", "conversations (ShareGPT)"])
def test_the_check_of_a_chat_file_prints_the_command_that_converts_it(write, form):
    content = {k: v for k, v in FORMS[form].items() if k != "system"}
    path = write(content, name="group's chats.jsonl")
    with pytest.raises(CourseError, match="of neither schema") as caught:
        records.read_records(path)
    words = shlex.split(caught.value.cure.partition("converted: ")[2])
    assert CliRunner().invoke(command_line(), words[1:]).exit_code == 0
    assert records.read_records(words[-1])[0]["answer"] == ANSWER


def test_an_unknown_track_is_refused(write):
    with pytest.raises(CourseError, match="`rocks` is not known"):
        conversion.convert_file(write(FORMS["Alpaca"]), "rocks")
