"""Names and fingerprints of the notebooks of a run."""

from pathlib import Path

import nbformat
from small_notebooks import write_notebook

from course_utils.execution.jobs import notebook_fingerprint
from course_utils.execution.state import choose_names


def test_output_names_never_collide(tmp_path):
    paths = ["a/x.ipynb", "b/x.ipynb", "c/b-x.ipynb", "z/b/x.ipynb", "y.ipynb"]
    names, notes = choose_names([Path(path) for path in paths], tmp_path)
    assert notes == []
    assert len(set(names)) == 5
    assert (names[0], names[2], names[4]) == ("a-x", "b-x", "y")


def test_fingerprint_changes_with_cells_parameters_and_caller(tmp_path):
    def notebook(source: str):
        return nbformat.read(write_notebook(tmp_path / "n.ipynb", source), as_version=4)

    same = notebook_fingerprint(notebook("1"), {"a": 1}, "v")
    assert same == notebook_fingerprint(notebook("1"), {"a": 1}, "v")
    others = [("2", {"a": 1}, "v"), ("1", {"a": 2}, "v"), ("1", {"a": 1}, "w")]
    changed = {notebook_fingerprint(notebook(s), p, f) for s, p, f in others}
    assert len(changed | {same}) == 4
