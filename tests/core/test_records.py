"""The record check names the line, the cure works, and no near-duplicate crosses a split."""

import json
import resource
import subprocess
import sys

import pytest

from course_utils import chat
from course_utils import records as R
from course_utils.errors import CourseError

ORDER = {"instruction": "Fill in the form.", "input": "replace pump", "output": "Part: pump"}
ROCK = {
    "system": "You are a geologist.",
    "instruction": "Which mineral absorbs at 2.209 um?",
    "context": "",
    "answer": "Kaolinite.",
}
WORK = [
    "replace hydraulic hose on boom",
    "engine overheating",
    "crack in bucket weld",
    "grease line to slew ring torn off",
    "air conditioner not cold",
]


def order(text, answer="done", **more):
    return ORDER | {"input": text, "output": answer} | more


def as_bytes(*records):
    return "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records).encode()


@pytest.fixture
def write(tmp_path):
    def write_file(content, name="train.jsonl"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write_file


def found(report):
    return [(p.line, p.kind, p.severity) for p in report.problems]


# --- one wrong line ----------------------------------------------------------------------------

GOOD = json.dumps(ORDER).encode()
WRONG_LINES = {
    "cut off": (GOOD[:-12], "bad-json", ["column 73", "has no end", "near"]),
    "single quotes": (b"{'instruction': 'x'}", "bad-json", ["column 2", "double quotes", "`'`"]),
    "no comma": (b'{"input": "a" "output": "b"}', "bad-json", ["column 15", "comma"]),
    "no colon": (b'{"input" "a"}', "bad-json", ["column 10", "colon"]),
    "a list, cut off": (b"[1,2", "bad-json", ["column 5", "the end of the line"]),
    "None": (b'{"input": None}', "bad-json", ["column 11", "saw `N`"]),
    "comma at the end": (GOOD + b",", "bad-json", ["something follows it", "saw `,`"]),
    "backslash": (b'{"input": "C:\\data"}', "bad-json", ["backslash"]),
    "table": (b"instruction,input,output", "bad-json", ["column 1"]),
    "nested": (b"[" * 100_000, "bad-json", ["far too long"]),
    "digits": (b'{"input": ' + b"9" * 5000 + b"}", "bad-json", ["far too long"]),
    "list": (b'["a", "b"]', "not-an-object", ['["a", "b"]']),
    "number": (b"42", "not-an-object", ["42"]),
    "missing": (b'{"instruction": "a", "input": ""}', "missing-field", ["`output`"]),
    "empty": (GOOD.replace(b"Part: pump", b""), "empty-field", ["`output`", "is empty"]),
    "spaces": (GOOD.replace(b"Part: pump", b" \\n "), "empty-field", ["`output`", "only spaces"]),
    "null": (GOOD.replace(b'"Part: pump"', b"null"), "wrong-type", ["`output`", "null"]),
    "float": (GOOD.replace(b'"Part: pump"', b"2.50"), "wrong-type", ["`output`", "a number"]),
    "nan": (GOOD.replace(b'"Part: pump"', b"NaN"), "wrong-type", ["empty cell"]),
    "list value": (GOOD.replace(b'"Part: pump"', b"[1]"), "wrong-type", ["a list"]),
    "object value": (GOOD.replace(b'"Part: pump"', b"{}"), "wrong-type", ["braces"]),
    "true": (GOOD.replace(b'"Part: pump"', b"true"), "wrong-type", ["true/false"]),
    "task": (GOOD[:-1] + b', "task": "q&a"}', "unknown-value", ["`q&a`", "mean `qa`"]),
    "document": (GOOD[:-1] + b', "document": "mail"}', "unknown-value", ["`mail`"]),
    "group": (GOOD[:-1] + b', "group": 7}', "wrong-type", ["`group`"]),
    "twice": (GOOD[:-1] + b', "input": "b"}', "repeated-field", ["`input`", "twice"]),
    "NUL": (GOOD.replace(b"pump", b"pu\x00mp", 1), "control-character", ["NUL", "column 58"]),
    "escaped NUL": (GOOD.replace(b"pump", b"\\u0000", 1), "control-character", ["`input`"]),
    "tab": (GOOD.replace(b"replace ", b"replace\t"), "control-character", ["a raw tab"]),
    "half emoji": (GOOD.replace(b"pump", b"\\ud83d", 1), "control-character", ["cut emoji"]),
    "cp1252": (GOOD.replace(b"pump", b"caf\xe9", 1), "not-utf-8", ["0xE9", "cp1252", "café"]),
    "no encoding": (GOOD.replace(b"pump", b"\x81\xff", 1), "not-utf-8", ["0x81", "byte 56"]),
    "huge": (b'{"input": "' + b"x" * R.LINE_LIMIT + b'"}', "huge-line", ["1,000,000"]),
}


@pytest.mark.parametrize("name", WRONG_LINES)
def test_a_wrong_line_is_named_with_what_was_seen_and_a_cure(write, name):
    raw, kind, words = WRONG_LINES[name]
    first, last = as_bytes(order("first text")), as_bytes(order("something else"))
    report = R.check_file(write(first + raw + b"\n" + last))
    (problem,) = report.errors
    assert (problem.line, problem.kind) == (2, kind)
    assert [word for word in words if word not in problem.message] == []
    assert problem.cure
    assert problem.message.isprintable()
    assert not report.ok
    assert [line for line, _ in report.records] == [1, 3]


def test_a_list_is_not_taken_for_a_table(write):
    (problem,) = R.check_file(write(b"[1,2\n")).errors
    assert "begins a list" in problem.cure
    assert "CSV" not in problem.cure


@pytest.mark.parametrize("name", WRONG_LINES)
def test_read_records_stops_at_the_wrong_line(write, name):
    path = write(as_bytes(order("first text")) + WRONG_LINES[name][0] + b"\n")
    with pytest.raises(CourseError, match=r"train\.jsonl:2: ") as caught:
        R.read_records(path)
    assert caught.value.cure


WARNED_LINES = {
    "bom": (b"\xef\xbb\xbf" + GOOD, "bom", "byte-order mark"),
    "blank": (b"  ", "blank-line", "empty"),
    "padded": (GOOD.replace(b"Part: pump", b"Part: pump "), "whitespace", "`output`"),
    "typing error": (GOOD[:-1] + b', "grop": "7"}', "unknown-field", "did you mean `group`?"),
    "foreign": (GOOD[:-1] + b', "zzz": 7}', "unknown-field", "`zzz`"),
    "crlf": (GOOD + b"\r", "crlf", "Windows line ends"),
}


@pytest.mark.parametrize("name", WARNED_LINES)
def test_a_flaw_that_does_no_harm_is_a_warning_and_the_record_is_kept(write, name):
    raw, kind, words = WARNED_LINES[name]
    report = R.check_file(write(as_bytes(order("first text")) + raw + b"\n"))
    (problem,) = report.warnings
    assert (problem.line, problem.kind) == (2, kind)
    assert words in problem.message
    assert report.ok
    assert len(report.records) == (1 if name == "blank" else 2)


def test_only_the_wrong_bytes_of_a_line_are_read_as_windows_text(write, tmp_path):
    line = as_bytes(order("Kühler caf@ heiß")).replace(b"@", b"\xe9")
    report = R.check_file(write(line))
    assert "Kühler café heiß" in report.errors[0].message
    R.write_corrected(report, tmp_path / "fixed.jsonl")
    assert R.read_records(tmp_path / "fixed.jsonl")[0]["input"] == "Kühler café heiß"


def test_the_byte_position_counts_over_the_file_and_behind_a_byte_order_mark(write):
    good = as_bytes(order("first text"))
    bad = b"\xef\xbb\xbf" + GOOD.replace(b"pump", b"\xe9", 1)
    (problem,) = R.check_file(write(good + bad)).errors
    at = bad.index(b"\xe9") + 1
    assert f"byte {at} of the line (byte {len(good) + at} of the file)" in problem.message


def test_a_misspelt_required_field_is_reported_as_missing_with_its_likely_name(write):
    for name, meant in (("ouput", "output"), ("response", "output"), ("Question", "instruction")):
        record = {(name if k == meant else k): v for k, v in ORDER.items()}
        (problem,) = R.check_file(write(as_bytes(record))).errors
        assert f"`{meant}` is missing; there is a field `{name}`" in problem.message
        assert problem.cure == f"Rename `{name}` to `{meant}`."


def test_a_record_of_the_other_schema_is_named_as_such(write):
    report = R.check_file(write(as_bytes(order("a"), order("b"), ROCK)))
    assert report.schema == "manufacturing"
    assert {p.line for p in report.errors} == {3}
    assert "looks like the geology schema" in report.errors[0].message


def test_the_lines_after_a_huge_line_keep_their_numbers(write):
    huge = b"x" * (3 * R.LINE_LIMIT + 7)
    report = R.check_file(write(as_bytes(order("a")) + huge + b"\n" + as_bytes(order("b")) + b"{"))
    assert [(p.line, p.kind) for p in report.errors] == [(2, "huge-line"), (4, "bad-json")]
    assert report.lines == 4


def test_the_byte_position_counts_a_huge_line(write):
    content = b"x" * (2 * R.LINE_LIMIT) + b"\n" + GOOD.replace(b"pump", b"\xe9", 1)
    (_, problem) = R.check_file(write(content)).errors
    assert f"(byte {content.index(bytes([0xE9])) + 1} of the file)" in problem.message


def test_a_line_at_the_limit_is_read(write):
    room = R.LINE_LIMIT - len(as_bytes(order("")))
    report = R.check_file(write(as_bytes(order("x" * room), order("x" * (room + 1)))))
    assert found(report) == [(2, "huge-line", "error")]


def test_too_long_records_are_counted_in_tokens(write):
    path = write(as_bytes(order("one two"), order("one two three four")))
    report = R.check_file(path, count_tokens=lambda r: len(r["input"].split()), max_length=3)
    (problem,) = report.errors
    assert (problem.line, problem.kind) == (2, "too-long")
    assert "4 tokens, the limit is 3" in problem.message


def test_what_takes_long_tells_how_far_it_is(write):
    told = []
    path = write(as_bytes(*(order(f"{text} {i}") for i, text in enumerate(WORK))))
    R.check_file(path, count_tokens=len, max_length=9, progress=lambda *now: told.append(now))
    assert told == [
        ("counting tokens", 0, 5),
        ("comparing prompts", 0, 5),
        ("comparing prompts", 5, 5),
    ]


def test_a_length_limit_needs_a_tokenizer(write):
    with pytest.raises(CourseError, match="tokenizer"):
        R.check_file(write(as_bytes(ORDER)), max_length=3)


# --- duplicates and leakage --------------------------------------------------------------------


def test_a_duplicate_names_the_earlier_line_and_ignores_case_and_spaces(write):
    report = R.check_file(write(as_bytes(order("Pump  leaks"), order("x y"), order("PUMP leaks "))))
    (problem,) = report.errors
    assert (problem.line, problem.kind) == (3, "duplicate")
    assert "line 1" in problem.message


def test_one_prompt_with_two_answers_is_a_conflict(write):
    answers = ["leak", "leak", "crack", "crack"]
    report = R.check_file(write(as_bytes(*(order("pump", a) for a in answers))))
    errors = [(2, "duplicate"), (3, "conflict"), (4, "duplicate")]
    assert [(p.line, p.kind) for p in report.errors] == errors
    assert "line 3" in report.errors[2].message


def test_the_same_input_with_another_instruction_is_no_duplicate(write):
    other = order("replace pump") | {"instruction": "Name the risk in one sentence, please."}
    assert R.check_file(write(as_bytes(order("replace pump"), other))).problems == []


def test_two_questions_on_one_long_context_are_no_near_duplicates(write):
    long = {"context": "Kaolinite shows a doublet near 2.2 um in the SWIR. " * 4 + "See fig. 1."}
    other = ROCK | long | {"instruction": "Where does it form?", "answer": "In clay."}
    assert R.check_file(write(as_bytes(ROCK | long, other))).problems == []


def test_a_near_duplicate_is_a_warning_unless_both_have_the_same_group(write):
    texts = ["replace broken joystick handle", "replace brocken joystick handle"]
    report = R.check_file(write(as_bytes(*(order(t) for t in texts))))
    assert found(report) == [(2, "near-duplicate", "warning")]
    assert "line 1" in report.problems[0].message
    grouped = R.check_file(write(as_bytes(*(order(t, group="3") for t in texts))))
    assert grouped.problems == []


@pytest.mark.parametrize(
    ("there", "here", "kind"),
    [
        (order("pump leaks"), order("PUMP leaks", "other"), "leakage"),
        (order("replace joystick handle"), order("replace joystick handles"), "leakage-near"),
        (order("engine hot", group="5"), order("seat torn", group="5"), "leakage-group"),
    ],
)
def test_leakage_names_the_other_file_and_line(write, there, here, kind):
    train = write(as_bytes(order("something else"), there), "train.jsonl")
    test = write(as_bytes(order("quite different"), here), "test.jsonl")
    (problem,) = R.check_file(test, against=[train]).errors
    assert (problem.line, problem.kind) == (2, kind)
    assert f"{train}, line 2" in problem.message


def test_leakage_is_found_among_many_records(write):
    """More than 64 prompts: candidates come from hashing, not from comparing all."""
    many = [order(f"{text} {i * 7919}") for i, text in enumerate(WORK * 20)]
    train = write(as_bytes(*many, order("replace broken joystick handle")), "train.jsonl")
    here = order("replace brocken joystick handle", group="")
    del here["group"]
    report = R.check_file(write(as_bytes(here), "test.jsonl"), against=[train])
    assert found(report) == [(1, "leakage-near", "error")]
    assert "line 101" in report.errors[0].message


def test_lines_of_the_other_file_that_were_not_compared_are_reported(write):
    train = write(as_bytes(order("a")) + b"{broken\n", "train.jsonl")
    report = R.check_file(write(as_bytes(order("b")), "test.jsonl"), against=[train])
    assert found(report) == [(0, "against-unread", "warning")]


def test_a_file_is_not_compared_with_itself(write):
    path = write(as_bytes(ORDER))
    with pytest.raises(CourseError, match="compared with itself"):
        R.check_file(path, against=[path])


def test_an_unknown_schema_name_is_refused(write):
    with pytest.raises(CourseError, match="`rocks` is not known"):
        R.check_file(write(as_bytes(ORDER)), schema="rocks")


# --- one reader --------------------------------------------------------------------------------

FURTHER = {
    "answer": order("pump leaks") | {"answer": "7"},
    "system as a text": order("pump leaks", system="You are a fitter."),
    "system as a list": order("pump leaks", system=["You are a fitter."]),
    "context": order("pump leaks", context={"a": 1}),
    "output": ROCK | {"output": "An answer of another data set."},
    "input and a task": ROCK | {"input": "", "task": "qa"},
}


@pytest.mark.parametrize("name", FURTHER)
def test_a_further_column_is_dropped_by_every_reader(write, name):
    """The schema was guessed again from one field's presence: KeyError, or another prompt."""
    plain = order("pump leaks") if FURTHER[name]["instruction"] == ORDER["instruction"] else ROCK
    path = write(as_bytes(FURTHER[name]))
    report = R.check_file(path)
    assert report.errors == []
    assert {p.kind for p in report.warnings} == {"unknown-field"}
    assert R.read_records(path) == [record for _, record in report.records] == [plain]
    assert chat.record_messages(R.read_records(path)[0]) == chat.record_messages(plain)
    assert R.text_of(R.read_records(path)[0]) == R.text_of(plain)


def test_names_in_capitals_are_put_right_whatever_schema(write, tmp_path):
    for plain in (ORDER, ROCK):
        loud = {name.upper(): text for name, text in plain.items()}
        report = R.check_file(write(as_bytes(loud)))
        assert "--write" in report.errors[0].cure
        R.write_corrected(report, tmp_path / "fixed.jsonl")
        assert R.read_records(tmp_path / "fixed.jsonl") == [plain]


def test_a_line_ends_at_the_line_feed_and_nowhere_else(write):
    texts = [f"first{mark}second" for mark in "\u2028\u2029\u0085\x0b\x0c\x1c"]
    path = write(as_bytes(*(order(f"{i}", text) for i, text in enumerate(texts[:2]))))
    assert [r["output"] for r in R.read_records(path)] == texts[:2]
    assert [row["output"] for _, row in R.read_objects(path)] == texts[:2]


def test_objects_are_read_with_their_lines_and_any_fields(write):
    path = write(b'\xef\xbb\xbf{"question": "a"}\r\n\n{"b": [1]}\n')
    assert R.read_objects(path) == [(1, {"question": "a"}), (3, {"b": [1]})]
    with pytest.raises(CourseError, match=r"train\.jsonl:2: the line is not a record"):
        R.read_objects(write(b"{}\n[1]\n"))


# --- the report --------------------------------------------------------------------------------


def test_the_summary_shows_a_rare_problem_beside_a_frequent_one(write):
    lines = [order(f"{text} {i}", "") for i, text in enumerate(WORK)] * 10
    report = R.check_file(write(as_bytes(*lines) + b"{broken\n"))
    text = "\n".join(report.summary_lines(limit=3))
    assert "bad-json" in text
    assert "line 1: error: field `output` is empty" in text
    assert "and more of the same: 48 empty-field" in text
    assert text.count("Write a text for `output`") == 1
    assert report.counts == {"empty-field": 50, "bad-json": 1}


def test_the_report_becomes_json(write):
    report = R.check_file(write(as_bytes(ORDER) + b"{\n"))
    seen = json.loads(json.dumps(report.to_dict()))
    assert (seen["ok"], seen["lines"], seen["records"]) == (False, 2, 1)
    assert seen["problems"][0]["line"] == 2


# --- the corrected file ------------------------------------------------------------------------


def test_the_corrected_file_keeps_what_is_right_and_mends_what_needs_no_judgement(write, tmp_path):
    content = (
        b"\xef\xbb\xbf" + as_bytes(order("engine hot"))[:-1] + b"\r\n"
        b"\n"
        + as_bytes(order("Überdruck im Kühler")).decode().encode("cp1252")
        + as_bytes(order(" seat torn ", 7, TASK="q a", task="QA", extra="x"))
        + as_bytes(ORDER).replace(b'"Part: pump"', b"2.50")
        + as_bytes(order("ENGINE hot"), order("belt", "old"), order("belt", "new"))
        + b"{broken\n"
    )
    report = R.check_file(write(content))
    result = R.write_corrected(report, tmp_path / "fixed.jsonl")
    assert result == {
        "written": 4,
        "fixed": {
            "number": 2,
            "bom": 1,
            "crlf": 1,
            "cp1252": 1,
            "label": 1,
            "unknown-field": 1,
            "whitespace": 1,
        },
        "dropped": {"conflict": 2, "blank-line": 1, "duplicate": 1, "bad-json": 1},
    }
    assert set(result["fixed"]) <= set(R.FIX_WORDS)
    records = R.read_records(tmp_path / "fixed.jsonl")
    assert [r["input"] for r in records] == [
        "engine hot",
        "Überdruck im Kühler",
        "seat torn",
        "replace pump",
    ]
    assert records[2] == order("seat torn", "7", task="qa")
    assert records[3]["output"] == "2.50"
    assert R.check_file(tmp_path / "fixed.jsonl").problems == []


def test_a_capital_field_name_is_respelled(write, tmp_path):
    record = {"Instruction ": "a", "input": "b", "output": "c"}
    report = R.check_file(write(as_bytes(record)))
    assert R.write_corrected(report, tmp_path / "f.jsonl")["fixed"] == {"field-name": 1}
    assert R.read_records(tmp_path / "f.jsonl")[0]["instruction"] == "a"


def test_leaking_and_too_long_records_are_left_out(write, tmp_path):
    train = write(as_bytes(order("pump leaks", group="1")), "train.jsonl")
    test = as_bytes(
        order("pump leaks"),
        order("pump leaking"),
        order("seat torn", group="1"),
        order("belt", group="1"),
        order("many " * 9),
        order("door"),
    )
    report = R.check_file(
        write(test, "test.jsonl"),
        count_tokens=lambda r: len(r["input"].split()),
        max_length=4,
        against=[train],
        near=0.5,
    )
    result = R.write_corrected(report, tmp_path / "fixed.jsonl")
    dropped = {"leakage-group": 2, "leakage": 1, "leakage-near": 1, "too-long": 1}
    assert (result["written"], result["dropped"]) == (1, dropped)


def test_the_checked_file_is_never_overwritten(write, tmp_path):
    path = write(as_bytes(ORDER) + b"{\n")
    report = R.check_file(path)
    (tmp_path / "link.jsonl").symlink_to(path)
    for target in (path, tmp_path / "link.jsonl", tmp_path):
        with pytest.raises(CourseError):
            R.write_corrected(report, target)
    assert path.read_bytes() == as_bytes(ORDER) + b"{\n"


def test_nothing_is_written_where_no_record_is_left(write, tmp_path):
    report = R.check_file(write(b"{broken\n"))
    with pytest.raises(CourseError, match="no record is left"):
        R.write_corrected(report, tmp_path / "fixed.jsonl")
    assert not (tmp_path / "fixed.jsonl").exists()


def test_a_write_that_runs_out_of_space_leaves_the_old_file_and_nothing_else(tmp_path):
    target = R.write_records(tmp_path / "train.jsonl", [ORDER])
    before = target.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # a real OSError, as on a full disk
    try:
        with pytest.raises(CourseError, match="not written"):
            R.write_records(target, [order("x" * 100)] * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]


def test_a_reader_keeps_the_old_file_whole_while_a_new_one_is_written(tmp_path):
    target = R.write_records(tmp_path / "train.jsonl", [ORDER])
    with target.open("rb") as reader:
        R.write_records(target, [ROCK])
        assert reader.read() == as_bytes(ORDER)
    assert R.read_records(target) == [ROCK]


@pytest.mark.parametrize("value", ["\ud83d", {1, 2}, float("nan")])
def test_a_record_that_is_not_text_leaves_nothing_behind(tmp_path, value):
    with pytest.raises(CourseError, match="record 2 cannot be written"):
        R.write_records(tmp_path / "new" / "a.jsonl", [ORDER, order(value)])
    assert list((tmp_path / "new").iterdir()) == []


def test_importing_records_loads_no_heavy_library():
    code = "import sys, course_utils.records; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "scipy", "pandas", "datasketch", "torch"} & set(done.stdout.split())
