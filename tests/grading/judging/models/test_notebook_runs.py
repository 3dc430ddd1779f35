"""A submission's notebook in the sandbox: credit for what was reached, and nothing else counts."""

from dataclasses import replace

import pytest
from nano_cases import WEEK05, WEEK09_10, case_of, judged
from small_notebooks import write_notebook

from course_utils.grading.judging.models import notebooks

FINE = ["x = 1", "print(x)", "y = x + 1", "assert y == 2"]
LOUD = [
    "from tqdm.auto import tqdm\nfor _ in tqdm(range(50)): pass",
    "import sys, warnings\nwarnings.warn('old')\nprint('no error', file=sys.stderr)",
    *FINE[:2],
]


@pytest.fixture(autouse=True)
def few_cells_do(monkeypatch):
    """The starter's notebook has more cells than these."""
    monkeypatch.setattr(notebooks, "_starter_cells", lambda assignment, name: 4)


def run(folder, box, *sources, assignment=WEEK05, name="parameter_analysis.ipynb", **options):
    write_notebook(folder / name, *sources, **options)
    (folder / "out").mkdir()
    case = case_of(folder, box, assignment, out=folder / "out")
    check = "analysis_runs" if assignment == WEEK05 else "notebook_runs"
    most = next(item.points for item in case.rubric.items if item.check == check)
    return judged(case, check), most, case.facts[name]


def test_a_notebook_that_runs_earns_all_points_and_its_copy_is_kept(tmp_path, box):
    found, most, result = run(tmp_path, box, *FINE)
    assert found.points == most, found
    assert result.executed.is_file()


def test_bars_warnings_and_stderr_cost_nothing(tmp_path, box):
    found, most, _ = run(tmp_path, box, *LOUD)
    assert found.points == most, found


@pytest.mark.parametrize("end", ["import os; os._exit(0)", "1 / 0", "import sys; sys.exit(0)"])
def test_cells_before_the_one_that_ended_it_earn_their_share(tmp_path, box, end):
    found, most, result = run(tmp_path, box, *FINE[:2], end, FINE[0])
    assert result.verdict.cell == 3
    assert found.points == most / 2


def test_a_file_that_is_no_notebook_is_named_without_the_sandboxs_paths(tmp_path, box):
    (tmp_path / "parameter_analysis.ipynb").write_text("no JSON")
    (tmp_path / "out").mkdir()
    case = case_of(tmp_path, box, WEEK05, out=tmp_path / "out")
    found = judged(case, "analysis_runs")
    assert found.points == 0
    told = case.facts["parameter_analysis.ipynb"].verdict.text
    assert told.startswith("rejected: parameter_analysis.ipynb")


def test_one_cell_that_runs_is_not_the_pipeline(tmp_path, box):
    found, most, _ = run(tmp_path, box, "print('done')")
    assert found.points == most / 2
    assert "the starter has 4" in found.feedback


def test_the_starters_parameters_make_the_run_short(tmp_path, box):
    parameters = (
        "compare_models = compare_precisions = []\ncompare_records = 6\n"
        "retrain = serve = check = True\nfolder = '.'"
    )
    source = (
        "assert (compare_models, compare_precisions, compare_records) == (['nano'], ['fp32'], 2)\n"
        "assert (retrain, serve, check) == (False, False, False)"
    )
    more = {"assignment": WEEK09_10, "name": "finetuning_pipeline.ipynb"}
    found, most, _ = run(tmp_path, box, source, *FINE[:2], parameters=parameters, **more)
    assert found.points == most, found


def test_what_makes_the_tiny_run_is_a_configuration():
    import yaml

    from course_utils.assignments.configuration import LoraFile

    pairs = [change.partition("=") for change in notebooks.tiny_changes()]
    config = LoraFile(**{name: yaml.safe_load(value) for name, _, value in pairs})
    assert (config.base_model, config.train_records) == ("nano", 24)


@pytest.mark.parametrize(("given", "taken"), [(None, 900), (1200.0, 1200), (60.0, 60)])
def test_a_cells_limit_is_the_instructors_where_one_is_given(
    tmp_path, box, given, taken, monkeypatch
):
    """By default the comparison of two models has time on one slow core."""
    run_it, seen = notebooks.run_notebook, []

    def watched(path, out, custody, *more):
        seen.append(custody.limits.cell)
        return run_it(path, out, custody, *more)

    monkeypatch.setattr(notebooks, "run_notebook", watched)
    write_notebook(tmp_path / "finetuning_pipeline.ipynb", *FINE)
    case = case_of(tmp_path, box, WEEK09_10, out=tmp_path)
    judged(replace(case, limits=case.limits.with_changes(cell=given)), "notebook_runs")
    assert seen == [taken]
