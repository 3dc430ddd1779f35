"""`course run FOLDER --sandbox`: a class of strangers' notebooks, a verdict each."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from sandboxes import level_or_skip
from small_notebooks import wait_until, write_notebook

from course_utils import kit
from course_utils.commands import batch
from course_utils.commands.batch import BatchOptions
from course_utils.console import console
from course_utils.errors import CourseError, UsageError
from course_utils.execution.processes import is_gone
from course_utils.execution.sandbox.levels import Tried

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no sandbox on Windows")


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "course_utils", "run", *map(str, words)]


def environment() -> dict[str, str]:
    paths = [str(kit.ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "200"}


def course(folder: Path, *words: object) -> subprocess.CompletedProcess:
    options = {"cwd": folder, "env": environment(), "capture_output": True, "text": True}
    return subprocess.run(command(*words), **options, check=False)


def rows(folder: Path) -> dict[str, dict]:
    table = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return {row["name"]: row for row in table["notebooks"]}


@pytest.mark.long
def test_a_class_gets_a_verdict_each_and_can_be_resumed(tmp_path):
    level = level_or_skip("auto")
    write_notebook(tmp_path / "in" / "ada.ipynb", "print(2 + 2)", "open('new', 'w')")
    write_notebook(tmp_path / "in" / "bob.ipynb", "1", "import os; os._exit(3)", "3")
    write_notebook(tmp_path / "in" / "cyd" / "cyd.ipynb", "import os; print(os.listdir('.'))")
    (tmp_path / "in" / "cyd" / "data.csv").write_text("a", encoding="utf-8")
    words = ("in", "--sandbox", "auto", "--out", "out", "--jobs", "2", "--no-warm")
    done = course(tmp_path, *words)
    assert done.returncode == 1
    assert f"sandbox {level}: works" in done.stdout
    found = rows(tmp_path / "out")
    verdicts = {name: row["verdict"] for name, row in found.items()}
    assert verdicts == {
        "ada": "finished",
        "bob": "kernel died in cell 2 (exit code 3)",
        "cyd": "finished",
    }
    assert {row["sandbox"] for row in found.values()} == {level}
    assert found["bob"]["reached"] == "1 2"
    assert not (tmp_path / "in" / "new").exists()
    again = course(tmp_path, *words, "--resume")
    assert "ada: skipped" in again.stdout
    assert rows(tmp_path / "out")["ada"]["verdict"] == "finished"


@pytest.mark.long
def test_kill_9_of_the_run_leaves_no_process_of_the_sandbox(tmp_path):
    level_or_skip("auto")
    write_notebook(tmp_path / "in" / "ada.ipynb", "import time; time.sleep(691)")
    words = command("in", "--sandbox", "auto", "--out", "out", "--no-warm")
    run = subprocess.Popen(words, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE)
    log = tmp_path / "out" / "ada.log"
    wait_until(lambda: log.exists() and "cell 1 of 1" in log.read_text(encoding="utf-8"), 60)
    family = psutil.Process(run.pid).children(recursive=True)
    assert len(family) >= 3  # worker, keeper, kernel
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    deadline = time.monotonic() + 30
    while not all(map(is_gone, family)):
        assert time.monotonic() < deadline, [p for p in family if not is_gone(p)]
        time.sleep(0.1)


def opened(options: BatchOptions):
    return batch._custody(1, options, console())


def test_auto_refuses_strangers_where_nothing_keeps_them_in(monkeypatch, tmp_path):
    weak = (
        Tried("bwrap", False, "bubblewrap is not installed", "install it"),
        Tried("landlock", False, "no Landlock", "a newer kernel"),
        Tried("limits", True),
    )
    monkeypatch.setattr(batch, "probe", lambda: weak)
    monkeypatch.setattr(batch, "choose_level", lambda wanted: weak[2])
    with pytest.raises(CourseError) as problem, opened(BatchOptions(tmp_path, sandbox="auto")):
        pass
    assert "bubblewrap is not installed" in problem.value.message
    assert "--sandbox limits" in problem.value.cure
    with opened(BatchOptions(tmp_path, sandbox="limits")) as custody:  # said so: then it may
        assert custody.box.level == "limits"


def test_without_sandbox_a_line_says_whose_rights_they_have(tmp_path, capsys):
    with opened(BatchOptions(tmp_path)) as custody:
        assert custody is None
    assert "with your rights" in capsys.readouterr().out


def test_a_folder_to_run_in_and_the_sandbox_exclude_each_other(tmp_path):
    options = BatchOptions(tmp_path, sandbox="none", warm=True, cwd=tmp_path)
    with pytest.raises(UsageError, match="--cwd"), opened(options):
        pass


def test_the_courses_own_notebooks_are_not_for_the_sandbox(tmp_path):
    done = course(tmp_path, "--sandbox", "auto")
    assert done.returncode == 2
    assert "--sandbox is for your own notebooks" in done.stderr
