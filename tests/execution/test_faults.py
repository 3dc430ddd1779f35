"""Faults that other people's classes met, each as a kind; real kernels."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from execution.odd_notebooks import notebook, write
from rich.console import Console
from small_notebooks import outputs, run, write_notebook

from course_utils.errors import CourseError
from course_utils.execution import output
from course_utils.execution.cures import cure_for
from course_utils.execution.display import failure_lines
from course_utils.execution.kernels import environment_first
from course_utils.execution.state import read_state

ROOT = Path(__file__).parents[2]
# Without its first letter: the paths of this machine are taken out of executed copies.
HERE = "import os; print(os.getcwd()[1:])"


def kernelspec(folder: Path, name: str, program: str) -> None:
    spec = {"argv": [program, "-m", "ipykernel_launcher", "-f", "{connection_file}"]}
    spec |= {"display_name": name, "language": "python"}
    write(folder / "kernels" / name / "kernel.json", spec)


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    """Notebooks of many kinds, two at a time: (folder, results by name, what was printed)."""
    folder = tmp_path_factory.mktemp("faults")
    kernelspec(folder / "jupyter", "deleted-env", str(folder / "deleted" / "bin" / "python"))
    deleted = {"kernelspec": {"name": "deleted-env", "display_name": "d", "language": "python"}}
    for student in ("alice", "bob"):
        write_notebook(
            *(folder / student / "hw.ipynb", HERE, "print(open('data.csv').read())"),
            "import helper; print(helper.VALUE)",
        )
        (folder / student / "data.csv").write_text(f"of {student}", encoding="utf-8")
        (folder / student / "helper.py").write_text(f"VALUE = 'by {student}'", encoding="utf-8")
    kinds = folder / "kinds"
    line = "print('x' * 3_000_000, end='')\nprint('END')"
    flush = "for i in range(12_000):\n    print('t', end='', flush=True)\nprint('END')"
    prefix = "import sys; print(sys.prefix[1:])"
    programs = f"!which python | cut -c2-\n!python -c '{prefix}'\n{prefix}"
    sources = {
        **{"line": line, "flush": flush, "programs": programs, "asks": "input('name? ')"},
        "many": "from IPython.display import display\nfor i in range(2_000): display(i)",
        "elsewhere": "open('/content/drive/MyDrive/beside.csv')",
        "above": "open('top.csv')",
        "text_result": "'y' * 3_000_000",
    }
    for name, source in sources.items():
        write_notebook(kinds / f"{name}.ipynb", source)
    (kinds / "beside.csv").touch()
    (folder / "top.csv").touch()
    write_notebook(kinds / "deleted.ipynb", "print('ran')", metadata=deleted)
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder / "jupyter"))
        patch.setenv("PATH", os.defpath)
        hand_ins = [folder / student / "hw.ipynb" for student in ("alice", "bob")]
        notebooks = [*hand_ins, *sorted(kinds.glob("*.ipynb"))]
        console = Console(file=printed, width=500)
        results = run(notebooks, folder / "out", workers=2, console=console)
    return folder, results, printed.getvalue()


def cell_outputs(batch, name: str) -> list:
    return nbformat.read(batch[1][name].executed, as_version=4).cells[1].outputs


def test_a_notebook_of_a_batch_runs_in_its_own_folder(batch):
    for student in ("alice", "bob"):
        printed = outputs(batch[1][f"{student}-hw"])
        assert printed == f"{str(batch[0] / student)[1:]}\nof {student}\nby {student}\n"


def test_a_long_line_is_kept_in_part_and_the_rest_counted(batch):
    [stream] = cell_outputs(batch, "line")
    assert stream.text.endswith("xEND\n")
    assert "2,500,004 characters of output left out" in stream.text
    assert len(stream.text) < output.KEPT_HEAD + output.KEPT_TAIL + 100


def test_a_long_result_and_many_results_are_bounded(batch):
    [result] = cell_outputs(batch, "text_result")
    assert len(result.data["text/plain"]) < 600_000
    *_, note = cell_outputs(batch, "many")
    assert "1,000 further outputs left out" in note.text


def test_fast_output_is_waited_for(batch):
    assert batch[1]["flush"].status == "done"
    assert outputs(batch[1]["flush"]) == "t" * 12_000 + "END\n"


def test_programs_of_a_cell_are_those_of_the_kernel(batch):
    program, child, own = outputs(batch[1]["programs"]).split()
    assert Path("/", program).parent == Path(sys.executable).parent
    assert child == own == sys.prefix[1:]


def test_the_kernel_of_a_deleted_environment_falls_back_to_the_courses_python(batch):
    result = batch[1]["deleted"]
    assert result.status == "done"
    assert "deleted-env is gone" in result.log.read_text(encoding="utf-8")


def test_input_in_a_batch_gets_a_cure(batch):
    result = batch[1]["asks"]
    assert result.status == "failed"
    assert "nobody can answer input()" in failure_lines(result)[1]


@pytest.mark.parametrize(
    ("name", "words"),
    [("elsewhere", "beside.csv lies beside the notebook"), ("above", "add --cwd {folder}")],
)
def test_a_missing_file_that_lies_elsewhere_is_pointed_at(batch, name, words):
    assert words.format(folder=batch[0]) in batch[1][name].cure


def test_a_file_beside_the_notebook_is_pointed_at_when_it_ran_elsewhere(tmp_path):
    path = write_notebook(tmp_path / "a" / "hw.ipynb", HERE, "open('data.csv')")
    (tmp_path / "a" / "data.csv").touch()
    (tmp_path / "there").mkdir()
    result = run([path], tmp_path / "out", cwd=tmp_path / "there")["hw"]
    assert outputs(result) == f"{str(tmp_path / 'there')[1:]}\n"
    assert "data.csv lies beside the notebook" in result.cure


def test_an_older_set_up_cell_that_clones_the_kit_gets_a_cure(tmp_path):
    error = "CalledProcessError: Command '['git', 'clone', '--depth', '1', 'https://x', 'kit']'"
    assert f"--cwd {ROOT}" in cure_for(error, tmp_path / "hw.ipynb", tmp_path)


def test_an_environment_comes_first_once():
    changed = environment_first("/e/bin/python", {"PATH": f"/a{os.pathsep}/e/bin", "X": "1"})
    assert changed == {"PATH": f"/e/bin{os.pathsep}/a", "X": "1"}


# --- Whose file is it? ------------------------------------------------------------------------


def test_two_students_notebooks_of_one_name_in_two_runs_are_both_kept(tmp_path):
    out = tmp_path / "out"
    for student in ("alice", "bob"):
        write(tmp_path / student / "hw.ipynb", notebook(f"print('{student}')"))
        run([tmp_path / student / "hw.ipynb"], out)
    [mine, other] = [outputs_of(out / name) for name in ("hw.ipynb", "bob-hw.ipynb")]
    assert (mine, other) == ("alice\n", "bob\n")
    write(tmp_path / "bob" / "hw.ipynb", notebook("print('again')"))
    assert list(run([tmp_path / "bob" / "hw.ipynb"], out)) == ["bob-hw"]
    assert outputs_of(out / "bob-hw.ipynb") == "again\n"


def outputs_of(path: Path) -> str:
    return nbformat.read(path, as_version=4).cells[0].outputs[0].text


def test_a_foreign_log_is_left_and_the_message_says_so(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "hw.log").write_text("my diary", encoding="utf-8")
    (out / ".hw.notes").write_text("mine too", encoding="utf-8")
    path = write(tmp_path / "alice" / "hw.ipynb", notebook("print(1)"))
    printed = io.StringIO()
    results = run([path], out, console=Console(file=printed, width=500))
    assert list(results) == ["alice-hw"]
    assert f"{out / 'hw.log'} is not of this command and is left" in printed.getvalue()
    assert (out / "hw.log").read_text(encoding="utf-8") == "my diary"
    assert (out / ".hw.notes").read_text(encoding="utf-8") == "mine too"
    assert not (out / "hw.ipynb").exists()


def test_a_foreign_state_and_lock_are_left(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".lock").write_text("locked by my editor", encoding="utf-8")
    path = write(tmp_path / "hw.ipynb", notebook("print(1)"))
    run([path], tmp_path / "out")
    assert (tmp_path / "out" / ".lock").read_text(encoding="utf-8") == "locked by my editor"
    write(tmp_path / "other" / "state.json", {"my": "state"})
    with pytest.raises(CourseError, match="not of this command"):
        run([path], tmp_path / "other")
    assert json.loads((tmp_path / "other" / "state.json").read_text()) == {"my": "state"}


def test_a_failed_run_is_remembered_as_ours(tmp_path):
    path = write(tmp_path / "hw.ipynb", notebook("1 / 0"))
    assert run([path], tmp_path / "out")["hw"].status == "failed"
    assert list(read_state(tmp_path / "out")) == ["hw"]
    write(path, notebook("print('mended')"))
    assert list(run([path], tmp_path / "out")) == ["hw"]
    assert not (tmp_path / "out" / "hw.failed.ipynb").exists()


# --- Errors of the system ---------------------------------------------------------------------


def test_a_name_that_is_too_long_is_that_rows_problem(tmp_path):
    long = write(tmp_path / f"{'n' * 245}.ipynb", notebook("1"))
    good = write(tmp_path / "z.ipynb", notebook("1"))
    first, second = run([long, good], tmp_path / "out").values()
    assert (first.status, second.status) == ("invalid", "done")
    assert "file name is too long" in first.error
    assert "rename it: at most 231 bytes" in first.cure


FULL = """
mount -t tmpfs -o size=160k tmpfs "$1" || exit 77
cd "$2" && exec {python} -m course_utils run a.ipynb b.ipynb c.ipynb --out "$1"
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a small disk")
def test_a_full_disk_ends_the_batch_with_its_table(tmp_path):
    (tmp_path / "disk").mkdir()
    for name in "abc":
        write(tmp_path / f"{name}.ipynb", notebook("print('x' * 200_000)"))
    script = FULL.format(python=sys.executable)
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, "sh", str(tmp_path / "disk"), str(tmp_path)],
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("no small disk can be mounted here")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "No space left" in done.stdout
    assert done.stdout.count("not run") == 2
    assert "free some disk space" in done.stderr
    assert "Traceback" not in done.stderr
