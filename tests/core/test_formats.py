"""What a file of records is, is judged by its content; whatever it is, the printed cure works."""

import gzip
import json
import re
import shlex
import sys
import zipfile

import pytest
from typer.testing import CliRunner

from course_utils import formats
from course_utils import records as R
from course_utils.commands.main import command_line
from course_utils.errors import CourseError

ORDER = {"instruction": "Fill in the form.", "input": "replace pump", "output": "Part: pump"}
RECORDS = [
    {"instruction": f"Fülle das Formular {i} aus.", "input": text, "output": "2.50"}
    for i, text in enumerate(["Pumpe; „läuft“, leckt", "Kühler heiß", "Schlauch gerissen"])
]


def as_bytes(*records):
    return "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records).encode()


@pytest.fixture
def write(tmp_path):
    def write_file(content, name="train.jsonl"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write_file


def table(delimiter):
    rows = [list(RECORDS[0]), *(r.values() for r in RECORDS)]
    return "\r\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in rows)


def columns(as_lists):
    turned = {name: [r[name] for r in RECORDS] for name in RECORDS[0]}
    by_number = {name: dict(enumerate(cells)) for name, cells in turned.items()}
    return json.dumps(turned if as_lists else by_number, ensure_ascii=False)


ARRAY = json.dumps(RECORDS, ensure_ascii=False, indent=1)
FOREIGN = {  # name of the file, what is in it, what the check calls it
    "array": ("all.json", ARRAY.encode(), "one JSON array"),
    "array on one line": ("all.json", json.dumps(RECORDS).encode(), "one JSON array"),
    "array with a byte-order mark": ("all.json", ARRAY.encode("utf-8-sig"), "one JSON array"),
    "array in Windows-1252": ("all.json", ARRAY.encode("cp1252"), "one JSON array"),
    "an apostrophe in its name": ("group's own.json", ARRAY.encode(), "one JSON array"),
    "array called .jsonl": ("all.jsonl", ARRAY.encode(), "one JSON array"),
    "records under data": (
        "all.json",
        json.dumps({"version": 1, "data": RECORDS}, indent=2).encode(),
        "one JSON object with the records under `data`",
    ),
    "records under data on one line": (
        "all.json",
        json.dumps({"data": RECORDS}).encode(),
        "one JSON object with the records under `data`",
    ),
    "columns by number": ("all.json", columns(False).encode(), "column-wise JSON"),
    "columns as lists": ("all.json", columns(True).encode(), "column-wise JSON"),
    "objects over several lines": (
        "all.jsonl",
        "\n".join(json.dumps(r, ensure_ascii=False, indent=2) for r in RECORDS).encode(),
        "JSON objects spread over several lines",
    ),
    "comma": ("all.csv", table(",").encode(), "a table (CSV, commas"),
    "semicolon": ("all.csv", table(";").encode(), "a table (CSV, semicolons"),
    "semicolon in Windows-1252": ("all.csv", table(";").encode("cp1252"), "semicolons"),
    "semicolon with a byte-order mark": ("all.csv", table(";").encode("utf-8-sig"), "semicolons"),
    "Excel's own first line": ("all.csv", ("sep=;\r\n" + table(";")).encode(), "semicolons"),
    "tabs": ("all.tsv", table("\t").encode(), "a table (CSV, tabs"),
    "table in UTF-16": ("all.txt", table("\t").encode("utf-16"), "UTF-16 text, a table"),
    "table called .jsonl": ("all.jsonl", table(",").encode(), "a table (CSV, commas"),
    "UTF-16": ("all.jsonl", as_bytes(*RECORDS).decode().encode("utf-16"), "UTF-16 text"),
    "gzipped array": ("all.json.gz", gzip.compress(ARRAY.encode()), "one JSON array"),
}  # fmt: skip


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_file_of_another_kind_is_named_alike_by_the_check_and_the_reader(write, kind):
    name, content, words = FOREIGN[kind]
    path = write(content, name)
    report = R.check_file(path)
    (problem,) = [p for p in report.errors if p.kind == "format"]
    assert words in problem.message
    with pytest.raises(CourseError) as caught:
        R.read_records(path)
    assert caught.value.message == f"{path}: {problem.message}"
    assert "--write" in caught.value.cure
    assert caught.value.cure in problem.cure


@pytest.mark.parametrize("kind", FOREIGN)
def test_the_printed_command_works_on_this_very_file(write, kind):
    name, content, _ = FOREIGN[kind]
    with pytest.raises(CourseError) as caught:
        R.read_records(write(content, name))
    program, *words = shlex.split(caught.value.cure.partition(": ")[2])
    done = CliRunner().invoke(command_line(), words)
    assert (program, done.exit_code) == ("course", 1)  # the file that was checked is still wrong
    assert R.read_records(words[-1]) == RECORDS
    assert R.check_file(words[-1]).errors == []


def test_the_corrected_file_never_takes_the_name_of_one_that_is_there(write):
    write(as_bytes(ORDER), "all.jsonl")
    source = formats.open_source(write(ARRAY.encode(), "all.json"))
    assert source.cure.endswith("all-fixed.jsonl")


REPAIRED = {
    "null": as_bytes(*(r | {"input": None} for r in RECORDS)),
    "absent": as_bytes(*({k: v for k, v in r.items() if k != "input"} for r in RECORDS)),
    "NaN": as_bytes(*(r | {"input": float("nan")} for r in RECORDS)),
    "capitals": as_bytes(*({k.upper(): v for k, v in r.items()} for r in RECORDS)),
    "Windows-1252": as_bytes(*RECORDS).decode().encode("cp1252"),
}


@pytest.mark.parametrize("kind", REPAIRED)
def test_the_command_in_a_cure_repairs_this_very_file(write, kind):
    path = write(REPAIRED[kind], "group's own.jsonl")
    with pytest.raises(CourseError) as caught:
        R.read_records(path)
    assert any(p.cure == caught.value.cure for p in R.check_file(path).errors)
    command = re.search(r"or let (.*) (?:do|convert) it", caught.value.cure)[1]
    words = shlex.split(command)
    CliRunner().invoke(command_line(), words[1:])
    wanted = [r if kind in ("capitals", "Windows-1252") else r | {"input": ""} for r in RECORDS]
    assert R.read_records(words[-1]) == wanted


def test_a_long_array_on_one_line_is_an_array(write, tmp_path):
    """Over a megabyte: the first line alone is too long to be read as one record."""
    many = [
        ORDER | {"instruction": f"Form {i}", "output": f"{i} " + "x" * 600} for i in range(2000)
    ]
    path = write(json.dumps(many).encode(), "all.json")
    report = R.check_file(path, near=1.0)
    assert [p.kind for p in report.errors] == ["format"]
    R.write_corrected(report, tmp_path / "fixed.jsonl")
    assert R.read_records(tmp_path / "fixed.jsonl") == many


def test_numbers_of_an_array_keep_their_digits(write, tmp_path):
    content = b'[{"instruction": "a", "input": 2.50, "output": 1e3},\n{"output": 007}]'
    with pytest.raises(CourseError, match=r"all\.json:2: not valid JSON at column 13"):
        R.check_file(write(content, "all.json"))
    report = R.check_file(write(content.replace(b",\n" + b'{"output": 007}', b""), "all.json"))
    R.write_corrected(report, tmp_path / "fixed.jsonl")
    assert R.read_records(tmp_path / "fixed.jsonl")[0] == {
        "instruction": "a",
        "input": "2.50",
        "output": "1e3",
    }


def test_a_wrong_record_of_an_array_is_named_by_its_number(write):
    report = R.check_file(write(json.dumps([ORDER, ORDER | {"output": ""}, 7]).encode(), "a.json"))
    said = "\n".join(report.summary_lines())
    assert "record 2: error: field `output` is empty" in said
    assert "record 3: error: the line is not a record" in said
    assert "3 records, 1 record that follow" in said


def test_a_row_with_more_cells_than_columns_is_named(write):
    with pytest.raises(CourseError, match=r"all\.csv:2: 4 cells, but the table has 3 columns"):
        R.check_file(write(b"instruction;input;output\na;b;c;d\n", "all.csv"))


def test_an_empty_cell_is_an_empty_text_or_no_field(write, tmp_path):
    content = b"instruction;input;output;task;facts\na;;c;qa;\n\n;;;;\n"
    report = R.check_file(write(content, "all.csv"))
    assert R.write_corrected(report, tmp_path / "fixed.jsonl")["fixed"]["empty-field"] == 1
    record = {"instruction": "a", "input": "", "output": "c", "task": "qa"}
    assert R.read_records(tmp_path / "fixed.jsonl") == [record]


def test_two_lists_in_one_file_are_not_guessed_between(write):
    with pytest.raises(CourseError, match="several lists of records .*`train`, `test`"):
        R.check_file(write(json.dumps({"train": [ORDER], "test": [ORDER]}).encode()))


@pytest.mark.parametrize("name", ["records.jsonl.gz", "records.jsonl"])
def test_gzipped_lines_are_read_as_they_are(write, name):
    path = write(gzip.compress(as_bytes(*RECORDS)), name)
    assert R.read_records(path) == RECORDS
    assert R.check_file(path).problems == []


def test_a_gzip_file_that_is_cut_off_is_named(write):
    path = write(gzip.compress(as_bytes(*RECORDS) * 50)[:-30], "records.jsonl.gz")
    for read in (R.check_file, R.read_records):
        with pytest.raises(CourseError, match="cut off or damaged"):
            read(path)


@pytest.mark.parametrize(("name", "words"), [("train.txt", "ends in .txt"), ("train", "nothing")])
def test_lines_under_another_name_are_read_with_a_warning(write, name, words):
    path = write(as_bytes(*RECORDS), name)
    (problem,) = R.check_file(path).problems
    assert (problem.kind, problem.severity) == ("file-name", "warning")
    assert words in problem.message
    assert R.read_records(path) == RECORDS


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.jsonl", b"", "empty"),
        ("blank.jsonl", b"\n \r\n\n", "empty"),
        ("archive.jsonl", b"PK\x03\x04zip", "a zip archive"),
        ("cut.xlsx", b"PK\x03\x04" + b"PK\x05\x06" + b"\x09" * 18, "a zip archive"),
        ("old.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel file"),
        ("columns.parquet", b"PAR1 and no more", "a Parquet file that cannot be read"),
        ("notes.md", b"# Our project\n", "begins with"),
        ("none.json", b"[]", "without a record"),
        ("names.csv", b"instruction;input;output\n", "a table without a row"),
        ("chat.jsonl", b'{"messages": []}\n', "chat.jsonl:1: the fields messages are of neither"),
    ],
)
def test_a_file_without_records_is_refused_with_a_cure(write, name, content, words):
    path = write(content, name)
    for read in (R.check_file, R.read_records):
        with pytest.raises(CourseError) as caught:
            read(path)
        assert words in caught.value.message
        assert caught.value.cure


def test_a_missing_file_a_folder_and_an_impossible_name_are_refused(write, tmp_path):
    write(as_bytes(ORDER), "train.jsonl")
    cases = {
        tmp_path / "trian.jsonl": ("no such file", "train.jsonl"),
        tmp_path: ("folder", "train.jsonl"),
        tmp_path / ("x" * 5000): ("cannot be opened", "path"),
        tmp_path / "a\0b.jsonl": ("cannot be opened", "path"),
    }
    for path, (words, cure) in cases.items():
        with pytest.raises(CourseError, match=words) as caught:
            R.check_file(path)
        assert cure in caught.value.cure


def test_a_parquet_file_is_converted(tmp_path):
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(RECORDS), tmp_path / "all.parquet")
    report = R.check_file(tmp_path / "all.parquet")
    assert "a Parquet file" in report.errors[0].message
    R.write_corrected(report, tmp_path / "fixed.jsonl")
    assert R.read_records(tmp_path / "fixed.jsonl") == RECORDS


# --- Excel -------------------------------------------------------------------------------------


def test_without_openpyxl_the_way_by_csv_is_told_and_works(write, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)  # as if it were not installed
    path = tmp_path / "our records.xlsx"
    with zipfile.ZipFile(path, "w") as book:  # what an Excel file begins with
        book.writestr("xl/workbook.xml", "<workbook/>")
    with pytest.raises(CourseError, match="this is an Excel file") as caught:
        R.check_file(path)
    write(table(";").encode("cp1252"), "our records.csv")  # what Excel saves as CSV
    command = caught.value.cure.partition("then ")[2].partition(" (or")[0]
    CliRunner().invoke(command_line(), shlex.split(command)[1:])
    assert R.read_records(tmp_path / "our records.jsonl") == RECORDS


@pytest.mark.parametrize("name", ["all.xlsx", "all.jsonl"])
def test_an_excel_sheet_is_converted(tmp_path, name):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["Instruction", "input", "output", "task", None])
    book.active.append(["Fill in.", None, 2.5, "qa", None])
    book.active.append([None] * 5)
    book.active.append(["Fill in again.", 7.0, "done", None, None])
    book.save(tmp_path / name)
    report = R.check_file(tmp_path / name)
    assert "an Excel sheet" in report.errors[0].message
    R.write_corrected(report, tmp_path / "fixed.jsonl")
    assert R.read_records(tmp_path / "fixed.jsonl") == [
        {"instruction": "Fill in.", "input": "", "output": "2.5", "task": "qa"},
        {"instruction": "Fill in again.", "input": "7", "output": "done"},
    ]


def test_a_broken_excel_file_is_named(tmp_path):
    pytest.importorskip("openpyxl")
    with zipfile.ZipFile(tmp_path / "all.xlsx", "w") as book:
        book.writestr("xl/workbook.xml", "<workbook/>")
    with pytest.raises(CourseError, match="an Excel file that cannot be read"):
        R.check_file(tmp_path / "all.xlsx")
