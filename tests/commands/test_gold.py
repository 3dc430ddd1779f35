"""`course data gold`: two tables and where gold lies; the same figures as JSON."""

import json

import pytest
from typer.testing import CliRunner

from course_utils import gold
from course_utils.commands.main import command_line
from course_utils.metrics import FIELDS


@pytest.fixture(scope="module")
def printed(prepared):
    return [
        CliRunner().invoke(command_line(), ["data", "gold", *more]) for more in ([], ["--json"])
    ]


def test_last_line_says_where_gold_lies(printed):
    assert printed[0].exit_code == 0
    assert printed[0].output.splitlines()[-1] == f"Gold: {gold.FILE}"


def test_json_holds_the_figures_that_are_printed(printed):
    text, summary = printed[0].output, json.loads(printed[1].output)
    assert [row["field"] for row in summary["agreement"]] == [*FIELDS, "all"]
    for name, row in summary["against_gold"].items():
        (line,) = [line for line in text.splitlines() if line.startswith(name + "  ")]
        assert f"{row['f1']['all']['mean']:.2f} ({row['f1']['all']['low']:.2f} to" in line


def test_data_sheet_gives_the_figures_that_are_printed(printed):
    summary = json.loads(printed[1].output)
    sheet = (gold.kit.DATA / "README.md").read_text(encoding="utf-8")
    plain = sheet.replace("*", "")
    for row in summary["agreement"]:
        assert f"| {row['values']} | {row['kappa']:.3f} | {row['f1']:.3f} |" in plain
    for row in summary["against_gold"].values():
        whole = row["f1"]["all"]
        cells = [f"{whole['mean']:.2f} ({whole['low']:.2f} to {whole['high']:.2f})"]
        cells += [f"{row['f1'][field]['mean']:.2f}" for field in FIELDS]
        assert " | ".join([str(row["orders"]), *cells, f"{row['exact']:.2f}"]) in sheet
