"""A geology group's own file: 20 records pass, 19 do not; a broken file says what is wrong."""

import json

import pytest
from typer.testing import CliRunner

from course_utils import records as R
from course_utils.commands.main import command_line
from course_utils.errors import CourseError

MINERALS = [
    *("kaolinite", "alunite", "jarosite", "muscovite", "illite", "talc", "calcite", "dolomite"),
    *("gypsum", "epidote", "chlorite", "pyrophyllite", "topaz", "opal", "siderite", "nontronite"),
    *("hectorite", "antigorite", "hematite", "goethite", "biotite"),
]


def group_records(count=20):
    """Records a group could have written: true in form, one mineral each."""
    return [
        {
            "system": "You are a geologist.",
            "instruction": f"Where does {name} absorb, and which bond is the cause?",
            "context": f"Our sample {number} of {name} has its minimum at {2165 + number} nm.",
            "answer": f"At {2165 + number} nm.",
        }
        for number, name in enumerate(MINERALS[:count])
    ]


def lines(records):
    return [json.dumps(record, ensure_ascii=False) for record in records]


@pytest.fixture
def write(tmp_path):
    def write_file(content, name="group.jsonl"):
        path = tmp_path / name
        if isinstance(content, list):
            content = "\n".join(content) + "\n"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


def check(*arguments):
    """The exit code and everything `course data check` prints, a CourseError as its two lines."""
    done = CliRunner().invoke(command_line(), ["data", "check", *map(str, arguments)])
    if isinstance(done.exception, CourseError):
        return 1, f"{done.exception.message}\n{done.exception.cure}"
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done.exit_code, done.output


# --- how many ----------------------------------------------------------------------------------


def test_twenty_records_pass(write):
    code, said = check(write(lines(group_records(20))))
    assert (code, "0 errors" in said) == (0, True)


def test_nineteen_records_are_one_too_few(write):
    code, said = check(write(lines(group_records(19))))
    assert code == 1
    assert "19 usable records; a training file needs at least 20" in said
    assert "Write 1 more" in said


def test_a_duplicate_does_not_count_as_the_twentieth(write):
    records = group_records(19)
    code, said = check(write(lines([*records, records[3]])))
    assert code == 1
    assert "line 20: error: duplicate: same prompt and answer as line 4" in said
    assert "19 usable records" in said


def test_the_least_number_can_be_set(write):
    path = write(lines(group_records(19)))
    assert check(path, "--min-records", 19)[0] == 0
    assert check(path, "--min-records", 0)[0] == 0
    assert check(path, "--min-records", 25)[0] == 1


def test_a_manufacturing_file_has_no_least_number(write):
    record = {"instruction": "Fill in the form.", "input": "pump leaks", "output": "Pump"}
    assert check(write(lines([record])))[0] == 0


def test_from_python_the_same_file_gets_the_same_verdict(write):
    assert R.require_number(R.check_file(write(lines(group_records(20))), "geology")).ok
    (problem,) = R.require_number(R.check_file(write(lines(group_records(19))), "geology")).errors
    assert problem.kind == "too-few-records"


def test_a_record_may_carry_its_true_value(write):
    records = group_records(20)
    records[0] |= {"facts": "answer=2165 nm", "source": "our field trip", "group": "kaolinite"}
    assert check(write(lines(records)))[0] == 0


# --- what is wrong -----------------------------------------------------------------------------


def with_line(number, text):
    """A right file of 21 records whose line `number` (from 1) is replaced."""
    content = lines(group_records(21))
    content[number - 1] = text
    return content


def changed(number, **fields):
    """The line with other fields; None takes a field away."""
    record = {**group_records(21)[number - 1], **fields}
    return json.dumps({k: v for k, v in record.items() if v is not ...}, ensure_ascii=False)


def renamed(records, **names):
    return [{names.get(k, k): v for k, v in record.items()} for record in records]


RECORDS = group_records(21)
OTHER_COLUMNS = renamed(RECORDS, instruction="question", context="passage", answer="response")
BROKEN = {
    "missing answer": (
        with_line(3, changed(3, answer=...)),
        ["line 3: error: field `answer` is missing", 'Add "answer": "..." to the record'],
    ),
    "answer under another name": (
        lines(renamed(RECORDS, answer="response")),
        ["field `answer` is missing; there is a field `response`", "Rename `response` to `answer`"],
    ),
    "columns of another data set": (
        lines([{k: v for k, v in r.items() if k != "system"} for r in OTHER_COLUMNS]),
        ["question, passage, response are of neither schema", "`passage` to `context`"],
    ),
    "no system field": (
        with_line(5, changed(5, system=...)),
        ["line 5: error: field `system` is missing", "(it may be an empty text)"],
    ),
    "empty answer": (
        with_line(4, changed(4, answer="")),
        ["line 4: error: field `answer` is empty", "Write a text for `answer`"],
    ),
    "a number instead of text": (
        with_line(6, changed(6, answer=2205)),
        ["line 6: error: field `answer` is a number, not text", 'double quotes: "answer": "..."'],
    ),
    "null": (
        with_line(7, changed(7, context=None)),
        ["line 7: error: field `context` is empty (null), not text"],
    ),
    "same question twice": (
        lines([*RECORDS, RECORDS[8]]),
        ["line 22: error: duplicate: same prompt and answer as line 9"],
    ),
    "same question, two answers": (
        lines([*RECORDS, {**RECORDS[8], "answer": "At 900 nm."}]),
        ["line 22: error: conflict: same prompt as line 9, but a different answer"],
    ),
    "trailing comma": (
        with_line(2, changed(2)[:-1] + ",}"),
        ["line 2: error: not valid JSON", "no comma before the last }"],
    ),
    "comma at the end of the line": (
        with_line(2, changed(2) + ","),
        ["line 2: error: not valid JSON", "no comma at the end of the line"],
    ),
    "single quotes": (
        with_line(2, str(RECORDS[1])),
        ["line 2: error: not valid JSON", "straight double quotes"],
    ),
    "a quote inside a text": (
        with_line(2, changed(2).replace("geologist", 'so-called "geologist"')),
        ["line 2: error: not valid JSON", 'a double quote inside a text is written \\"'],
    ),
    "not a record": (
        with_line(11, '"kaolinite"'),
        ["line 11: error: the line is not a record in braces"],
    ),
    "huge line": (
        with_line(9, changed(9, context="x" * R.LINE_LIMIT)),
        ["line 9: error: the line is longer than 1,000,000 bytes", "is a line break missing"],
    ),
    "the micro sign of Windows": (
        "\n".join(with_line(1, changed(1, answer="At 2.2 µm."))).encode("cp1252"),
        ["line 1: error: not UTF-8: byte 0xB5", "2.2 µm", "Save the file as UTF-8"],
    ),
    "UTF-16": (
        "\n".join(lines(RECORDS)).encode("utf-16"),
        ["this is UTF-16 text, not JSON lines", "course data check"],
    ),
    "a JSON array": (
        json.dumps(RECORDS, indent=1),
        [
            "this is one JSON array [...], not JSON lines",
            "Write it as JSON lines: course data check",
        ],
    ),
    "an object over several lines": (
        json.dumps(RECORDS[0], indent=2),
        ["JSON objects spread over several lines", "Write it as JSON lines: course data check"],
    ),
    "nothing in it": ("\n \n", ["the file is empty", "Put one JSON record on each line"]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_says_what_is_wrong_and_what_to_do(write, case):
    content, expected = BROKEN[case]
    code, said = check(write(content))
    said = " ".join(said.split())
    assert code == 1
    assert [text for text in expected if text not in said] == []
    assert "Traceback" not in said


def test_a_byte_order_mark_is_a_warning_and_the_records_count(write):
    code, said = check(write("\ufeff" + "\n".join(lines(group_records(20)))))
    assert code == 0
    assert "line 1: warning: an invisible byte-order mark" in said


def test_a_missing_file_names_the_one_that_is_there(write):
    path = write(lines(group_records(20)), "our_records.jsonl")
    code, said = check(path.with_name("our_record.jsonl"))
    assert code == 1
    assert "there is no such file" in said
    assert "our_records.jsonl" in said


def test_the_corrected_file_of_a_mended_one_passes(write, tmp_path):
    broken = "\n".join([*lines(group_records(20)), "{broken"]).replace("nm.", "nm. µ")
    fixed = tmp_path / "fixed.jsonl"
    code, _ = check(write(broken.encode("cp1252")), "--write", fixed)
    assert code == 1
    assert check(fixed)[0] == 0
    assert len(R.read_records(fixed)) == 20
