"""Names and fingerprints of the notebooks of a run."""

from pathlib import Path

import nbformat
import pytest
from execution.odd_notebooks import cell, notebook, write
from small_notebooks import outputs, run, write_notebook

from course_utils.execution.jobs import Job, notebook_fingerprint, own_folder
from course_utils.execution.reading import read_notebook
from course_utils.execution.state import choose_names


def test_output_names_never_collide(tmp_path):
    paths = ["a/x.ipynb", "b/x.ipynb", "c/b-x.ipynb", "z/b/x.ipynb", "y.ipynb"]
    names, notes = choose_names([Path(path) for path in paths], tmp_path)
    assert notes == []
    assert len(set(names)) == 5
    assert (names[0], names[2], names[4]) == ("a-x", "b-x", "y")


def test_fingerprint_changes_with_cells_parameters_and_caller(tmp_path):
    def of(source: str):
        return nbformat.read(write_notebook(tmp_path / "n.ipynb", source), as_version=4)

    same = notebook_fingerprint(of("1"), {"a": 1}, "v")
    assert same == notebook_fingerprint(of("1"), {"a": 1}, "v")
    others = [("2", {"a": 1}, "v"), ("1", {"a": 2}, "v"), ("1", {"a": 1}, "w")]
    changed = {notebook_fingerprint(of(s), p, f) for s, p, f in others}
    assert len(changed | {same}) == 4


SHOW = """from pathlib import Path
print(Path(folder).resolve().name, [path.name for path in Path(folder).glob("*.txt")])"""


def hand_in(folder: Path, given: str, injected: str = "") -> Path:
    cells = [cell(source=f"folder = {given!r}", metadata={"tags": ["parameters"]})]
    if injected:
        metadata = {"tags": ["injected-parameters"]}
        cells.append(cell(source=f"folder = {injected!r}", metadata=metadata))
    path = write(folder / "hw.ipynb", notebook(cells=[*cells, cell(source=SHOW)]))
    (folder / "mine.txt").touch()
    return path


@pytest.mark.parametrize("elsewhere", [False, True])
def test_folder_means_the_notebooks_own_wherever_it_runs(tmp_path, elsewhere):
    (tmp_path / "there").mkdir()
    paths = [
        hand_in(tmp_path / "plain", "."),
        hand_in(tmp_path / "rerun", "./", injected=str(tmp_path / "there")),
        hand_in(tmp_path / "moved", "/content/drive/MyDrive/week5"),
    ]
    cwd = tmp_path / "there" if elsewhere else None
    results = run(paths, tmp_path / "out", cwd=cwd, workers=2)
    assert [outputs(result) for result in results.values()] == [
        f"{name} ['mine.txt']\n" for name in ("plain", "rerun", "moved")
    ]


def test_a_folder_that_means_something_else_or_is_given_is_kept(tmp_path):
    path = hand_in(tmp_path / "a", "data")
    other = hand_in(tmp_path / "b", ".")
    job = Job("hw", path, tmp_path, cwd=tmp_path)
    assert own_folder(read_notebook(path), job, {}) == {}
    job = Job("hw", other, tmp_path, cwd=tmp_path)
    assert own_folder(read_notebook(other), job, {}) == {"folder": str(other.parent)}
    assert own_folder(read_notebook(other), job, {"folder": "x"}) == {}


def test_a_file_name_in_odd_bytes_gets_a_name_that_can_be_printed(tmp_path):
    names, _ = choose_names([tmp_path / "pr\udcfcfung.ipynb", tmp_path / "größe.ipynb"], tmp_path)
    assert names == ["pr%FCfung", "größe"]


def test_names_that_share_a_file_of_another_are_told_apart(tmp_path):
    """a.failed.ipynb would be the copy of one and the failed copy of the other."""
    paths = [tmp_path / "c" / name for name in ("a.ipynb", "a.failed.ipynb", "A.ipynb")]
    names, _ = choose_names(paths, tmp_path / "out")
    assert len(set(names)) == 3
    assert "a.failed" not in names
