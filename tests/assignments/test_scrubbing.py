"""What is handed in says nothing of the machine: no home folder, no login, no cache, no host."""

import json
import socket
import zipfile
from pathlib import Path

import pytest

from course_utils import kit
from course_utils.assignments import week09_10 as submission
from course_utils.assignments.scrubbing import Scrubber
from course_utils.packages import cache_folder


def cleaned(text: str, root: Path, name: str = "run/training.json") -> str:
    return Scrubber(root).clean(name, text.encode()).decode()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('{"base": "/home/ada/models/x"}', '{"base": "~/models/x"}'),
        ("/Users/Ada.L/course/a.py:3", "~/course/a.py:3"),
        (r'"C:\\Users\\ada\\kit"', r'"~\\kit"'),
        (r"C:\Users\ada\kit", r"~\kit"),
        ("/mnt/c/Users/ada/kit", "kit"),
        ('"/root/.cache/x"', '"~/.cache/x"'),
        ("the /root of an equation, a/root/b", "the /root of an equation, a/root/b"),
        ("https://example.org/homes/ada", "https://example.org/homes/ada"),
    ],
)
def test_homes_of_any_system_are_taken_out_and_nothing_else(text, left, tmp_path):
    assert cleaned(text, tmp_path) == left


def test_a_base_model_in_the_cache_is_named_by_its_id(tmp_path):
    config = json.dumps({"base_model_name_or_path": f"{cache_folder()}/models/nano"})
    assert json.loads(cleaned(config, tmp_path)) == {"base_model_name_or_path": "nano"}


def test_the_submission_and_the_kit_get_short_names(tmp_path):
    text = f"{tmp_path}/run/a.json {tmp_path}-2/x {kit.ROOT}/notebooks"
    # The second is another folder, whose name begins alike: of that only the last name is left.
    assert cleaned(text, tmp_path) == "./run/a.json x kit/notebooks"


def test_the_host_is_not_named(tmp_path, monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "adas-laptop.example.org")
    assert cleaned("ran on adas-laptop, adas-laptops", tmp_path) == "ran on host, adas-laptops"


def test_what_is_no_text_stays_byte_for_byte(tmp_path):
    content = b"\x00/home/ada/x\xff"
    scrubber = Scrubber(tmp_path)
    assert scrubber.clean("adapter/adapter_model.safetensors", content) == content
    assert scrubber.told() == ""


def test_what_was_taken_out_is_counted(tmp_path):
    scrubber = Scrubber(tmp_path)
    scrubber.clean("a.json", b"/home/ada/x /home/ada/y")
    scrubber.clean("b.md", b"/home/ada/x")
    scrubber.clean("c.md", b"nothing")
    assert scrubber.told() == "paths and names of this machine taken out: 3, in 2 files"


def everything_in(archive: Path) -> str:
    with zipfile.ZipFile(archive) as packed:
        return "\n".join(packed.read(name).decode("latin-1") for name in packed.namelist())


def test_a_packed_submission_holds_no_path_of_this_machine(folder, tmp_path, capsys):
    config = next(folder.rglob("adapter_config.json"))
    settings = json.loads(config.read_text())
    settings["base_model_name_or_path"] = f"{cache_folder()}/models/nano"
    config.write_text(json.dumps(settings))
    (folder / "README.md").write_text(
        (folder / "README.md").read_text() + f"\nMade in {folder.resolve()} on /home/lovelace.\n"
    )
    target = submission.pack_submission(folder, tmp_path / "out.zip", force=True)
    text = everything_in(target)
    for private in (str(folder.resolve()), str(cache_folder()), "/home/", "lovelace"):
        assert private not in text
    assert "paths and names of this machine taken out: " in capsys.readouterr().out
