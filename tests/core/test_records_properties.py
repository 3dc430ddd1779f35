"""Properties of the record check: whatever is in the file, the report is right and nothing breaks.

Each property runs on generated files; hypothesis shrinks a failure to the smallest one.
"""

import contextlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from course_utils import conversion
from course_utils import records as R
from course_utils.errors import CourseError

PROPERTY = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,  # the same files in every run
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)

TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=30)
FILLED = TEXT.filter(str.strip)


def optional(rules):
    return {
        name: st.sampled_from(rules.choices[name]) if name in rules.choices else FILLED
        for name in rules.optional
    }


@st.composite
def valid_records(draw, min_size=1):
    """1 to 6 right records of one schema; a number before each instruction keeps them apart."""
    rules = R.SCHEMAS[draw(st.sampled_from(sorted(R.SCHEMAS)))]
    one = st.fixed_dictionaries(
        {name: TEXT if name in rules.may_be_empty else FILLED for name in rules.required},
        optional=optional(rules),
    )
    records = draw(st.lists(one, min_size=min_size, max_size=6))
    return [r | {"instruction": f"{i} {r['instruction']}"} for i, r in enumerate(records)]


@pytest.fixture(scope="module")
def new_file(tmp_path_factory):
    """Writes bytes to data.jsonl in a new folder; one fixture serves all generated examples."""

    def write(content):
        path = tmp_path_factory.mktemp("data") / "data.jsonl"
        path.write_bytes(content)
        return path

    return write


def as_line(record):
    return json.dumps(record, ensure_ascii=False).encode() + b"\n"


@PROPERTY
@given(valid_records())
def test_right_records_pass_and_come_back_unchanged(new_file, records):
    path = new_file(b"")
    R.write_records(path, records)
    assert R.read_records(path) == records
    report = R.check_file(path)
    assert report.errors == []
    assert report.records == list(enumerate(records, start=1))
    assert report.schema in R.SCHEMAS


def spoil(draw, record, rules):
    """(line of bytes, kind of problem) for one way to spoil a record."""
    field = draw(st.sampled_from(rules.required))
    filled = draw(st.sampled_from([f for f in rules.required if f not in rules.may_be_empty]))
    at = draw(st.integers(1, 9))
    line = as_line(record)
    ways = {
        "missing-field": as_line({k: v for k, v in record.items() if k != field}),
        "empty-field": as_line(record | {filled: draw(st.sampled_from(["", " ", "\n\t "]))}),
        "wrong-type": as_line(
            record | {field: draw(st.sampled_from([1, 2.5, None, [], {}, True]))}
        ),
        "unknown-field": as_line(record | {"inptu": "x"}),
        "bad-json": line.decode()[: -1 - at].encode() + b"\n",
        "not-an-object": json.dumps(list(record.values())).encode() + b"\n",
        "not-utf-8": line.replace(b'"', b'"\xe9 ', 1),
        "bom": b"\xef\xbb\xbf" + line,
        "blank-line": b" \n",
        "control-character": as_line(record | {field: f"a{chr(draw(st.integers(0, 8)))}b"}),
        "huge-line": b" " * R.LINE_LIMIT + line,
        "repeated-field": line[:-2] + f', "{field}": "again"}}\n'.encode(),
        "too-long": as_line(record | {filled: "word " * 50}),
        "crlf": line[:-1] + b"\r\n",
    }
    kind = draw(st.sampled_from(sorted(ways)))
    return ways[kind], kind


def count_words(record):
    return max(len(text.split()) for text in record.values())


@PROPERTY
@given(st.data())
def test_any_single_mutation_is_reported_with_its_line(new_file, data):
    records = data.draw(valid_records(min_size=3))
    rules = R.SCHEMAS["geology" if "context" in records[0] else "manufacturing"]
    at = data.draw(st.integers(0, len(records) - 1))
    spoilt, kind = spoil(data.draw, records[at], rules)
    lines = [spoilt if i == at else as_line(record) for i, record in enumerate(records)]
    path = new_file(b"".join(lines))
    report = R.check_file(path, count_tokens=count_words, max_length=40)
    assert (at + 1, kind) in [(p.line, p.kind) for p in report.problems]
    others = [p for p in report.errors if p.line != at + 1]
    assert others == []
    assert all(p.cure and p.message.isprintable() for p in report.problems)


@PROPERTY
@given(st.data())
def test_a_repeated_record_names_the_earlier_line(new_file, data):
    records = data.draw(valid_records())
    first = data.draw(st.integers(0, len(records) - 1))
    again = {k: f" {v}  " if k == "instruction" else v for k, v in records[first].items()}
    report = R.check_file(new_file(b"".join(map(as_line, [*records, again]))))
    (problem,) = report.errors
    assert (problem.line, problem.kind) == (len(records) + 1, "duplicate")
    assert problem.message.endswith(f"line {first + 1}")


def nothing_breaks(path):
    """Check, correct and check again what was written; only CourseError may come out."""
    folder = path.parent
    try:
        report = R.check_file(path)
    except CourseError:
        return
    is_table = "format" in report.counts  # its rows begin after the names
    assert all(0 <= p.line <= report.lines or is_table for p in report.problems)
    assert all(line.isprintable() for line in report.summary_lines() if "python -c" not in line)
    json.dumps(report.to_dict()).encode("utf-8")
    try:
        result = R.write_corrected(report, folder / "fixed.jsonl")
    except CourseError:
        assert list(folder.iterdir()) == [path]
        return
    again = R.check_file(folder / "fixed.jsonl", schema=report.schema)
    assert again.errors == []
    assert len(R.read_records(folder / "fixed.jsonl", report.schema)) == result["written"]


PIECES = st.sampled_from(
    [b'{"instruction": "a", "input": "b", "output": "c"}', b'{"instruction": 1, "input": ', b"}"]
    + [
        b"[",
        b"[{",
        b"{",
        b"\n",
        b"\r\n",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\x00",
        b"\xe9",
        b"\xe2\x80",
    ]
    + [b'"output": "\\ud83d"', b"NaN", b"1e999", b'"input": "x"', b'{"context":""}', b",", b'"']
)


@PROPERTY
@given(st.binary(max_size=300))
def test_arbitrary_bytes_break_nothing(new_file, content):
    nothing_breaks(new_file(content))


@PROPERTY
@given(st.lists(PIECES | st.binary(max_size=4), max_size=25))
def test_arbitrary_pieces_of_records_break_nothing(new_file, pieces):
    nothing_breaks(new_file(b"".join(pieces)))


SHAPES = st.sampled_from(
    [b"[", b"]", b"{", b"}", b'{"data": [', b'"messages": [', b'"instruction": ["a", "b"]', b", "]
    + [b"instruction;input;output\n", b"sep=;\n", b'a;"b', b"a,b,c\n", b"\t", b"\n", b"\r\n"]
    + [b"PK\x03\x04", b"PAR1", b"\x1f\x8b\x08\x00", b"\xff\xfe", b"\xd0\xcf\x11\xe0", b"\xe9"]
    + [b'{"instruction": "a", "input": "b", "output": "c"}', b'"input": {"0": "x"}', b"1e999"]
)
NAMES = ("data.jsonl", "data.json", "data.csv", "data.tsv", "data.xlsx", "data.jsonl.gz", "data")


@PROPERTY
@given(st.lists(SHAPES | st.binary(max_size=3), max_size=14), st.sampled_from(NAMES))
def test_a_file_of_any_kind_under_any_name_breaks_nothing(tmp_path_factory, pieces, name):
    path = tmp_path_factory.mktemp("data") / name
    path.write_bytes(b"".join(pieces))
    nothing_breaks(path)
    for schema in R.SCHEMAS:
        with contextlib.suppress(CourseError):
            conversion.convert_file(path, schema)


@PROPERTY
@given(valid_records(), st.sampled_from(["array", "line", "data", "columns", "objects"]))
def test_right_records_come_back_from_every_form_of_json(tmp_path_factory, records, form):
    names = dict.fromkeys(name for record in records for name in record)
    columns = {n: {i: r[n] for i, r in enumerate(records) if n in r} for n in names}
    forms = {
        "array": json.dumps(records, indent=1),
        "line": json.dumps(records, ensure_ascii=False),
        "data": json.dumps({"version": "1", "rows": records}),
        "columns": json.dumps(columns, indent=2),
        "objects": "\n".join(json.dumps(r, indent=1) for r in records),
    }
    path = tmp_path_factory.mktemp("data") / "data.json"
    path.write_text(forms[form], encoding="utf-8", newline="\n")
    report = R.check_file(path)
    assert [p.kind for p in report.errors] == ["format"]
    fixed = path.with_name("fixed.jsonl")
    R.write_corrected(report, fixed)
    stripped = [{name: text.strip() for name, text in r.items()} for r in records]
    assert R.read_records(fixed, report.schema) == stripped


@PROPERTY
@given(valid_records(), st.data())
def test_damaged_bytes_in_a_right_file_break_nothing(new_file, records, data):
    content = bytearray(b"".join(map(as_line, records)))
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        content = content or bytearray(b" ")
    nothing_breaks(new_file(bytes(content)))


@PROPERTY
@given(st.lists(FILLED, min_size=1, max_size=80), st.sampled_from([0.3, 0.5, 0.7, 1.0]))
def test_near_duplicate_groups_are_the_components_of_all_pairs(texts, threshold):
    groups = R.near_duplicate_groups(texts, threshold)
    wanted = list(range(len(texts)))
    for i, a in enumerate(texts):
        for j, b in enumerate(texts[:i]):
            if R.jaccard(a, b) >= threshold and wanted[i] != wanted[j]:
                wanted = [wanted[j] if w == wanted[i] else w for w in wanted]
    pairs = [(i, j) for i in range(len(texts)) for j in range(i)]
    assert [groups[i] == groups[j] for i, j in pairs] == [wanted[i] == wanted[j] for i, j in pairs]


@PROPERTY
@given(st.lists(st.integers(0, 12), min_size=3, max_size=60), st.data())
def test_a_split_never_parts_a_group_nor_repeats_a_record(groups, data):
    records = [{"input": str(i)} for i in range(len(groups))]
    test = data.draw(st.integers(0, len(groups)))
    train = data.draw(st.integers(0, len(groups) - test))
    parts = R.split_by_group(
        records, groups, {"train": train, "test": test}, data.draw(st.integers())
    )
    chosen = {name: [int(r["input"]) for r in part] for name, part in parts.items()}
    assert len(chosen["train"]) <= train
    assert len(chosen["test"]) <= test
    assert len({*chosen["train"], *chosen["test"]}) == len(chosen["train"]) + len(chosen["test"])
    homes = {name: {groups[i] for i in part} for name, part in chosen.items()}
    assert not homes["train"] & homes["test"]
    for name, part in chosen.items():  # whole groups: all members are in the part
        assert sum(g in homes[name] for g in groups) == len(part)
