"""`course data self-check`: the table, its last line, its exit code, and the JSON beside it."""

import json

import pytest
from typer.testing import CliRunner

from course_utils.commands.main import command_line


def question(number, text="Sheet"):
    value = 1000 + 7 * number
    return {
        "instruction": "How much? Answer with the number and its unit only.",
        "input": f"{text} {number}",
        "output": f"{value} mm",
        "task": "qa",
        "document": "quality_report",
        "form": "number and unit only",
        "facts": f"answer={value} mm",
    }


@pytest.fixture
def folder(tmp_path):
    for part, numbers in (("train", range(60)), ("test", range(60, 90))):
        write(tmp_path / f"{part}.jsonl", map(question, numbers))
    return tmp_path


def write(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def run(*words):
    return CliRunner().invoke(command_line(), ["data", "self-check", *map(str, words)])


def test_a_folder_that_cannot_be_fooled_exits_with_0(folder):
    done = run(folder)
    assert done.exit_code == 0
    assert done.output.splitlines()[-1] == "nothing can be fooled"
    assert "number and unit only              90" in done.output


def test_one_file_that_can_be_fooled_exits_with_1_and_says_where(folder):
    echoed = [question(n) | {"input": question(n)["output"]} for n in range(20)]
    write(folder / "mine.jsonl", echoed)
    done = run(folder / "mine.jsonl", "--sample", 10)
    assert done.exit_code == 1
    assert "1.000!" in done.output
    last = done.output.splitlines()[-1]
    assert last.startswith("can be fooled: qa, quality_report, number and unit only: echo")


def test_the_figures_are_written_as_json(folder):
    run(folder, "--json", folder / "told.json")
    told = json.loads((folder / "told.json").read_text(encoding="utf-8"))
    assert told["verdict"] == "nothing can be fooled"
    assert told["cells"][0]["rows"]["reference"] == 1
    assert told["cells"][0]["limits"]["echo of the input"] == 0.05


def test_a_folder_without_records_is_named_with_its_cure(tmp_path):
    done = run(tmp_path)
    assert done.exit_code == 1
    assert "there is no .jsonl file in it" in str(done.exception or done.output)
