"""Every kind of archive, report and card, searched for what names a machine or its user."""

import json
import re
import socket
import zipfile
from pathlib import Path

import pytest
from core.test_report import make_run_folder
from lab_submissions import make_lab
from reports.test_content import make_run, training

from course_utils import kit, report
from course_utils.assignments import week05, week09_10
from course_utils.endpoint import card
from course_utils.endpoint.source import Source
from course_utils.packages import cache_folder
from course_utils.reports import write

HOST = "lovelaces-laptop"
# Paths as systems, caches and clusters have them; their last name may stay.
PATHS = ["/home/lovelace/course/a.json", "/Users/lovelace/b.json", "C:\\Users\\lovelace\\c.json"]
PATHS += [str(cache_folder() / "models" / "nano"), str(kit.ROOT / "data"), str(Path.home() / "x")]
FORMS = list(write.WRITERS)


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: f"{HOST}.example.org")


def told(root: Path) -> str:
    """A sentence that tells everything, with the folder itself."""
    return " and ".join([*PATHS, str(root / "here.json"), str(root), f"on {HOST}."])


def named_in(text: str, root: Path) -> list[str]:
    """What of the machine stands in a text: homes, logins, the host, absolute paths."""
    private = ["lovelace", HOST, str(root), str(kit.ROOT), str(cache_folder()), str(Path.home())]
    found = [word for word in private if word != "/root" and word in text]
    places = r"(?<![\w.~/:<-])/(?:home|Users|root|tmp|work|mnt|scratch|content)/[\w.]+"
    return found + re.findall(places, text)


def plant(folder: Path) -> None:
    """Into every text of a submission, where its author or a library might have written it."""
    for path in folder.rglob("*"):
        if path.suffix in (".md", ".txt"):
            path.write_text(f"{path.read_text()}\n{told(folder)}\n")
        elif path.suffix in (".json", ".ipynb") and path.name != "submission.json":
            content = json.loads(path.read_text())
            (content.get("metadata", content) if path.suffix == ".ipynb" else content)["made"] = (
                told(folder)
            )
            path.write_text(json.dumps(content))


def texts_of(archive: Path) -> str:
    with zipfile.ZipFile(archive) as packed:
        return "\n".join(packed.read(name).decode("latin-1") for name in packed.namelist())


def test_the_search_itself_finds_each_of_them(tmp_path):
    assert named_in(told(tmp_path), tmp_path)
    for path in PATHS:
        assert named_in(f'"{path}"', tmp_path), path
    assert named_in(f"on {HOST}", tmp_path)
    assert not named_in(
        "runs/mine/a.json, ~/a.json, /v1/chat, https://example.org/home/a", tmp_path
    )


@pytest.fixture
def manufacturing(folder):
    return folder, week09_10.pack_submission


@pytest.fixture
def lab(tmp_path):
    return make_lab(tmp_path / "my_lab"), week05.pack_submission


@pytest.mark.parametrize("kind", ["manufacturing", "lab"])
def test_a_packed_submission_names_nobody(kind, request, tmp_path, capsys):
    folder, pack = request.getfixturevalue(kind)
    plant(folder)
    archive = pack(folder, tmp_path / "out.zip", force=True)
    assert named_in(texts_of(archive), tmp_path) == []
    assert "paths and names of this machine taken out: " in capsys.readouterr().out


def text_of_report(path: Path) -> str:
    if path.suffix == ".pptx":
        return texts_of(path)
    if path.suffix != ".pdf":
        return path.read_text(encoding="utf-8")
    from pypdf import PdfReader

    reader = PdfReader(path)
    return "\n".join([*(page.extract_text() for page in reader.pages), str(reader.metadata)])


@pytest.mark.parametrize("form", FORMS)
def test_a_report_of_a_run_that_names_its_machine_names_nobody(form, tmp_path):
    """Runs of older kits hold the paths that these no longer write."""
    content = training() | {"base_model": PATHS[3], "command": f"python train.py {told(tmp_path)}"}
    run = make_run(tmp_path / "my_run", content)
    made = write.write_report([run], form, tmp_path / f"made.{form}", group="Bauxite")
    assert named_in(text_of_report(made), tmp_path) == []


def test_the_report_of_a_course_run_names_nobody(tmp_path):
    folder = make_run_folder(tmp_path / "run")
    saved = json.loads((folder / "settings.json").read_text())
    saved["precision_reason"] = told(tmp_path)
    (folder / "settings.json").write_text(json.dumps(saved))
    page = report.write_report(folder).read_text(encoding="utf-8")
    assert "a.json" in page
    assert named_in(page, tmp_path) == []


@pytest.mark.parametrize("base", PATHS[:2] + PATHS[3:4])
def test_a_model_card_names_nobody(base, tmp_path):
    made = card.text(Source(tmp_path, base, tmp_path, None), "merged", "not compared")
    assert named_in(made, tmp_path) == []
