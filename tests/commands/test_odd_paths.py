"""Paths that nobody expects: a message with a cure instead of a traceback, and nothing replaced."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from course_utils import kit

LONG = "x" * 300
GOOD = '{"instruction": "a", "input": "b", "output": "c"}\n'
POSIX = pytest.mark.skipif(os.name == "nt", reason="pipes and links of POSIX")


def course(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "course_utils", *map(str, words)],
        capture_output=True,
        encoding="utf-8",
        cwd=cwd,
        timeout=60,
        env=os.environ | {"PYTHONPATH": str(kit.ROOT)},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "good.jsonl").write_text(GOOD, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ["data", "check", LONG],
        ["data", "check", "good.jsonl", "--write", LONG],
        ["data", "convert", "good.jsonl", "--to", "geology", "--out", LONG],
        ["submit", "check", LONG],
        ["submit", "pack", LONG],
        ["review", "make", LONG],
        ["run", LONG],
        ["report", LONG],
        ["compare-models", LONG],
        ["assignment", "start", "week05", LONG],
        ["assignment", "start", "week05", "good.jsonl/x"],
        ["data", "check", "good.jsonl", "--write", "good.jsonl/x"],
    ],
    ids=" ".join,
)
def test_a_path_that_cannot_be_is_told_in_two_lines(folder, words):
    done = course(*words, cwd=folder)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert "Cure: " in done.stderr
    assert (folder / "good.jsonl").read_text(encoding="utf-8") == GOOD


@POSIX
def test_a_script_tells_it_too(folder):
    script = kit.ASSIGNMENTS / "week05_parameter_lab" / "solution" / "inference_lora.py"
    words = [sys.executable, script, "--questions", "good.jsonl", "--adapter", LONG]
    done = subprocess.run(words, capture_output=True, encoding="utf-8", cwd=folder, timeout=120)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "\nCure: " in done.stderr


@POSIX
def test_what_stands_under_the_name_of_a_new_file_is_left_even_when_it_is_no_file(folder):
    os.mkfifo(folder / "pipe.jsonl")
    (folder / "link.jsonl").symlink_to("elsewhere.jsonl")
    for name in ("pipe.jsonl", "link.jsonl"):
        done = course("data", "check", "good.jsonl", "--write", name, cwd=folder)
        assert f"{name}: is there already" in done.stderr
    done = course("data", "check", "good.jsonl", "--write", "pipe.jsonl", "--overwrite", cwd=folder)
    assert "pipe or a device" in done.stderr
    assert (folder / "pipe.jsonl").is_fifo()
    assert (folder / "link.jsonl").is_symlink()


@POSIX
def test_a_pipe_and_a_broken_link_are_not_said_to_be_missing(folder):
    os.mkfifo(folder / "pipe.jsonl")
    (folder / "link.jsonl").symlink_to("elsewhere.jsonl")
    assert "pipe or a device" in course("data", "check", "pipe.jsonl", cwd=folder).stderr
    assert "a link to elsewhere.jsonl" in course("data", "check", "link.jsonl", cwd=folder).stderr


FULL_DISK = """
import resource, signal, sys
from course_utils.commands import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit fails, as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
sys.argv = ["course", "assignment", "start", "week05", sys.argv[1]]
main.main()
"""


@POSIX
@pytest.mark.parametrize("empty", [True, False])
def test_a_starter_on_a_full_disk_leaves_nothing_in_the_way_of_the_next_try(folder, empty):
    lab = folder / "lab"
    if empty:
        lab.mkdir()
    words = [sys.executable, "-c", FULL_DISK, str(lab)]
    done = subprocess.run(words, capture_output=True, encoding="utf-8", cwd=kit.ROOT, timeout=60)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "the starter was not copied" in done.stderr
    assert "Cure: free some disk space" in done.stderr
    assert lab.exists() == empty
    assert not empty or not any(lab.iterdir())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
def test_output_onto_a_full_disk_is_no_traceback(folder):
    with open("/dev/full", "w") as full:
        words = [sys.executable, "-m", "course_utils", "data", "check", "good.jsonl"]
        done = subprocess.run(
            words, stdout=full, stderr=subprocess.PIPE, text=True, cwd=folder, timeout=60
        )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "No space left on device" in done.stderr
