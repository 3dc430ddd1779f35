"""Attacks through the whole of `course grade`: contained, named, and the neighbour's marks unmoved.

One batch holds them all, between two submissions that were graded before, alone.
"""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import psutil
import pytest
from classroom import changes
from classroom.build import build
from classroom.compare import same_marks

from course_utils import kit, packages
from course_utils.grading.results import read_result

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the strong levels are Linux's"),
    pytest.mark.long,
]

SECRET = "a-password-of-the-instructor"
SCRIPT = "<script>window.harmed = 1</script>"
FORMULA = '=HYPERLINK("http:",A1)'
PLANTED = "planted-by-a-student"
OUTLIVES = """\
import os, subprocess, time
subprocess.Popen(["sleep", "797"], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    time.sleep(797)"""
SPOILS = """\
import pathlib
cache = pathlib.Path({cache!r})
for place in [cache, *cache.rglob("*")]:
    target = place / {planted!r} if place.is_dir() else place
    try:
        target.write_text("owned")
    except OSError:
        pass"""
READS = """\
import os, pathlib
print(dict(os.environ))
for process in pathlib.Path("/proc").glob("[0-9]*/environ"):
    try:
        print(process.read_bytes())
    except OSError:
        pass
try:
    print(pathlib.Path({secret!r}).read_text())
except OSError:
    pass"""
FLOODS = "while True: print('x' * 100_000)"
NEIGHBOURS = ("bruno", "log_lowered")  # one whose figures are true, one whose loss is not
FORGED = {"submission": "x", "status": "graded", "total": 100, "items": []}


def in_front(folder: Path, source: str) -> None:
    """The notebook's first cell."""
    path = folder / "parameter_analysis.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(source, execution_count=1))
    nbformat.write(notebook, path)


def forge_result(folder: Path) -> None:
    for name in ("result.json", "results.json", "gradebook.csv", "run/result.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(FORGED), "utf-8")


def link_data(folder: Path) -> None:
    (folder / "records.jsonl").unlink()
    (folder / "records.jsonl").symlink_to("/etc/passwd")


def write_html(folder: Path) -> None:
    for name, mark in (
        ("test_questions.jsonl", '"answer": "'),
        ("parameter_analysis.ipynb", "### learning_rate"),
    ):
        text = (folder / name).read_text("utf-8")
        (folder / name).write_text(text.replace(mark, f"{mark} {SCRIPT}"), "utf-8")
    changes.said(folder, SCRIPT)


def attacks(grades: Path) -> dict:
    """name -> what is done to an honest folder."""
    cache, secret = str(packages.cache_folder()), str(grades / "secret")
    remote = {"base_model_name_or_path": "nobody/remote-model"}
    auto = {"auto_mapping": {"base_model_class": "Evil", "parent_library": "os"}}
    return {
        "forged_result": forge_result,
        "linked_data": link_data,
        "lying_header": changes.lying_header,
        "remote_base": lambda folder: changes.adapter_config(folder, remote),
        "auto_mapping": lambda folder: changes.adapter_config(folder, auto),
        "other_kernel": changes.other_kernel,
        "html": write_html,
        FORMULA: lambda folder: None,
        "Ünïcödé \u202eemoh 王": lambda folder: None,
        "spoils_the_cache": lambda f: in_front(f, SPOILS.format(cache=cache, planted=PLANTED)),
        "reads_secrets": lambda folder: in_front(folder, READS.format(secret=secret)),
        "outlives": lambda folder: in_front(folder, OUTLIVES),
        "floods": lambda folder: in_front(folder, FLOODS),
    }


def archive(path: Path, name: str, content: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("my_lab/README.md", "x")
        file.writestr(name, content)


def run_batch(inbox: Path, grades: Path) -> int:
    """Grade; returns the peak memory of the grading process itself, in bytes."""
    words = [sys.executable, "-m", "course_utils", "grade", str(inbox), "--assignment", "week05"]
    environment = os.environ | {"COURSE_THREADS": "1", "GRADER_SECRET": SECRET}
    log = grades.with_suffix(".log")
    with log.open("w") as out:
        batch = subprocess.Popen(
            [*words, "--out", str(grades)], env=environment, stdout=out, stderr=out
        )
        _, status, usage = os.wait4(batch.pid, 0)
    assert status == 0, log.read_text()[-4000:]
    return usage.ru_maxrss * 1024


@pytest.fixture(scope="module")
def batch(prepared, tmp_path_factory):
    """A folder with alone/ (the neighbours' grades without attackers), grades/, and the peak."""
    folder = tmp_path_factory.mktemp("attacks")
    honest = build("week05", folder / "class", "small") / "inbox"
    neighbours, inbox = folder / "neighbours", folder / "inbox"
    for place in (neighbours, inbox):
        place.mkdir()
        for name in NEIGHBOURS:
            shutil.copytree(honest / name, place / name)
    run_batch(neighbours, folder / "alone")
    for name, attack in attacks(folder / "grades").items():
        shutil.copytree(honest / "bruno", inbox / name)
        attack(inbox / name)
    archive(inbox / "traversal.zip", "../../grades/gradebook.csv", b"owned")
    archive(inbox / "bomb.zip", "my_lab/records.jsonl", bytes(150_000_000))
    peak = run_batch(inbox, folder / "grades")
    return folder, peak


def found(batch, name: str):
    """The result of the submission whose folder begins so."""
    folder = next(path for path in sorted((batch[0] / "grades").glob(f"{name}*")) if path.is_dir())
    return read_result(folder)


def points(result) -> dict[str, float | None]:
    return {item.id: item.points for item in result.items if item.state != "manual"}


def test_the_neighbours_marks_are_unmoved(batch):
    folder, _ = batch
    both = folder / "both"
    shutil.copytree(folder / "grades", both)
    for path in both.iterdir():
        if path.is_dir() and path.name not in NEIGHBOURS:
            shutil.rmtree(path)
    assert same_marks(folder / "alone", both) == []


@pytest.mark.parametrize("name", ["forged", "hyperlink", "unicode", "outlives", "remote"])
def test_what_tries_only_to_be_believed_or_to_be_shown_changes_no_mark(batch, name):
    assert points(found(batch, name)) == points(found(batch, "bruno"))


@pytest.mark.parametrize(
    ("name", "words"),
    [("traversal", "leads out"), ("bomb", "unpacks to more"), ("floods", "output")],
)
def test_an_attack_ends_in_a_named_verdict(batch, name, words):
    result = found(batch, name)
    assert words in result.verdict
    assert result.status != "graded"


@pytest.mark.parametrize("name", ["lying", "auto"])
def test_an_adapter_that_is_none_earns_nothing_and_loads_nothing(batch, name):
    assert not points(found(batch, name))["adapter_loads"]


def test_linked_data_is_not_read(batch):
    result = found(batch, "linked")
    assert not points(result)["records_valid"]
    assert "root:" not in result.model_dump_json()


def test_a_notebook_for_another_kernel_earns_no_point_for_running(batch):
    assert not points(found(batch, "other"))["analysis_runs"]


def test_no_page_holds_a_students_script(batch):
    pages = list((batch[0] / "grades").rglob("*.html"))
    assert pages
    assert not [page.name for page in pages if SCRIPT in page.read_text("utf-8")]


def test_no_cell_of_the_gradebook_is_computed(batch):
    text = (batch[0] / "grades" / "gradebook.csv").read_text("utf-8-sig")
    cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
    assert any("HYPERLINK" in cell for cell in cells)
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t"))]


def test_the_shared_cache_is_as_it_was(batch):
    assert not list(packages.cache_folder().rglob(PLANTED))
    nano = packages.cache_folder() / "models" / "nano" / "config.json"
    assert json.loads(nano.read_text("utf-8"))["model_type"]


def test_no_secret_stands_in_what_a_student_gets(batch):
    grades = batch[0] / "grades"
    secret = (grades / "secret").read_text("utf-8").strip()
    own = found(batch, "reads").submission
    told = "".join(
        path.read_text("utf-8", "replace") for path in (grades / own).rglob("*") if path.is_file()
    )
    assert SECRET not in told
    assert secret not in told


def test_no_process_outlives_the_batch(batch):
    words = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]
    assert ["sleep", "797"] not in words


def test_endless_output_does_not_fill_the_graders_memory(batch):
    assert batch[1] < 1.5e9


def test_nothing_was_written_beside_the_grades(batch):
    folder, _ = batch
    names = {path.name for path in folder.iterdir()}
    assert names <= {
        "class",
        "neighbours",
        "inbox",
        "alone",
        "grades",
        "both",
        "alone.log",
        "grades.log",
    }
    assert not list(kit.ROOT.glob("gradebook.csv"))
