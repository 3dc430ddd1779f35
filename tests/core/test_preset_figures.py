"""Figures of a GPU check, entered where the presets' figures are said; a dry run is refused.

The figures are invented for the tests; their form is benchmarks/gpu_check.py's.
"""

import json
import shutil

import pytest
import yaml
from kit.test_docs import preset_problem

from course_utils import preset_figures
from course_utils.commands import main as cli
from course_utils.errors import CourseError

DONE = {
    **{"status": "done", "seconds": 31.0, "budget": 45, "precision": "fp16", "steps": 6},
    **{"memory_held_gib": 14.06, "peak_gib": 5.432, "estimate_gib": 5.5, "card": "T4"},
    **{"tokens_per_second": 2345.6, "training_minutes": 3.21},
    "answers": {"batch": 64, "tokens_per_second": 900.4, "new_tokens": 32, "peak_gib": 7.0},
}
LATE = {"status": "timed out", "seconds": 60.0, "budget": 60, "reason": "not done after 60 s"}


@pytest.fixture
def pages(tmp_path):
    """Copies of presets.yaml, docs/presets.md and the README."""
    names = (preset_figures.PRESETS_FILE, preset_figures.PAGE, preset_figures.README)
    return [shutil.copy(path, tmp_path / path.name) for path in names]


@pytest.fixture
def check(tmp_path):
    def made(dry=False, machine="NVIDIA H100 80GB HBM3", **steps):
        about = {"dry_run": dry, "machine": machine, "started": "2026-11-28T22:00:00+00:00"}
        rows = {f"preset_{name}": row for name, row in (steps or {"t4": DONE}).items()}
        path = tmp_path / "check.json"
        path.write_text(json.dumps({"about": about, "steps": {"machine": LATE, **rows}}))
        return path

    return made


def row_of(page, name):
    [line] = [line for line in page.read_text().splitlines() if line.startswith(f"| `{name}` |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_figures_are_entered_with_the_cards_name(check, pages):
    presets, page, readme = pages
    before = yaml.safe_load(presets.read_text())
    told = preset_figures.record(check(t4=DONE, a100=DONE, l4=LATE), *pages)
    after = yaml.safe_load(presets.read_text())
    assert after["t4"]["measured"].startswith("NVIDIA H100 80GB HBM3, November 2026, bash ")
    assert "2,346 tokens/s, peak 5.43 GiB (estimate 5.50)" in after["t4"]["measured"]
    assert row_of(page, "t4")[-2:] == ["not measured", "5.43 GiB"]
    assert told["l4"] == "not entered, timed out: not done after 60 s"
    for name in after:  # nothing else has changed, and the page says what the file says
        changed = {k for k in after[name] if after[name][k] != before[name][k]}
        assert changed == ({"measured"} if name in ("t4", "a100") else set())
        assert preset_problem(row_of(page, name), after[name]) == ""
    assert (
        "| `t4`, `a100`, peak memory | `bash benchmarks/gpu_check.sh` on NVIDIA" in page.read_text()
    )
    assert "No GPU was at hand" not in page.read_text()
    assert "on GPUs: not measured" not in readme.read_text()


def test_until_then_the_pages_say_not_measured():
    """No GPU check has been entered yet. The first one takes this test out."""
    assert {row_of(preset_figures.PAGE, name)[-1] for name in ("t4", "l4", "a100")} == {
        "not measured"
    }
    assert preset_figures.NOT_YET[0] in preset_figures.PAGE.read_text()
    assert preset_figures.NOT_YET_README[0] in preset_figures.README.read_text()


def test_a_second_check_takes_the_place_of_the_first(check, pages):
    preset_figures.record(check(t4=DONE), *pages)
    first = [page.read_text() for page in pages]
    preset_figures.record(check(machine="NVIDIA L4", t4=DONE | {"peak_gib": 6.0}), *pages)
    second = [page.read_text() for page in pages]
    assert [len(text.splitlines()) for text in second] == [len(text.splitlines()) for text in first]
    assert "H100 80GB" not in "".join(second)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dry": True}, "a dry run"),
        ({"dry": True, "t4": DONE | {"memory_held_gib": None}}, "a dry run"),
        ({"t4": LATE}, "no preset was measured (t4 timed out: not done after 60 s)"),
        ({"t4": DONE | {"peak_gib": "5"}}, "peak_gib"),
        ({"t4": DONE | {"tokens_per_second": float("nan")}}, "tokens_per_second"),
        ({"machine": "x | y\n"}, "about.machine"),
        ({"h200": DONE}, "no `measured` of a preset h200"),
    ],
)
def test_what_is_no_measurement_is_refused_and_nothing_is_written(check, pages, changes, said):
    before = [page.read_text() for page in pages]
    with pytest.raises(CourseError, match=".") as caught:
        preset_figures.record(check(**changes), *pages)
    assert said in caught.value.message
    assert [page.read_text() for page in pages] == before


@pytest.mark.parametrize("content", ["[]", "{", '{"about": {}, "steps": {}}'])
def test_any_other_file_is_refused(tmp_path, content):
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(CourseError):
        preset_figures.read_check(path)


def test_the_command_shows_the_presets(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["course", "presets"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0
    assert "a100" in capsys.readouterr().out
