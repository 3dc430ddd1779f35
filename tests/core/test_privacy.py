"""Paths of this machine in files that others read."""

import getpass
import socket
from pathlib import Path

import pytest

from course_utils import kit, privacy


@pytest.fixture
def at_home(tmp_path, monkeypatch):
    """A home folder and a working folder that are this test's."""
    home, work = tmp_path / "home" / "ada", tmp_path / "scratch" / "course"
    for folder in (home, work):
        folder.mkdir(parents=True)
    monkeypatch.setattr(Path, "home", lambda: home)
    monkeypatch.chdir(work)
    return home, work


def test_a_path_is_named_from_where_one_works_from_the_kit_or_from_home(at_home):
    home, work = at_home
    assert privacy.shown(work / "my_lab" / "records.jsonl") == "my_lab/records.jsonl"
    assert privacy.shown(kit.ROOT / "data" / "gold") == "data/gold"
    assert privacy.shown(home / "records.jsonl") == "~/records.jsonl"
    assert privacy.shown("/nowhere/of/ada/records.jsonl") == "records.jsonl"


@pytest.mark.parametrize("name", ["records.jsonl", "smollm2-135m-instruct", "Qwen/Qwen3-8B", "8"])
def test_what_is_no_absolute_path_stays(name):
    assert privacy.shown(name) == name


def test_a_command_names_its_paths_so_too(at_home):
    home, work = at_home
    words = ["python", "a.py", "--data", f"{work}/x y.jsonl", f"--out={home}/out", "--seed", "42"]
    line = privacy.shown_command(words)
    assert line == "python a.py --data 'x y.jsonl' '--out=~/out' --seed 42"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("see /tmp/pytest-1/run/a.json.", "see a.json."),
        ('"/tmp/a/b/": 1', '"": 1'),
        ("<code>/tmp/a</code>", "<code>a</code>"),
        ("#!/usr/bin/env python", "#!/usr/bin/env python"),
        ("POST /v1/chat/completions, and/or, 3/4", "POST /v1/chat/completions, and/or, 3/4"),
        ("https://example.org/tmp/x", "https://example.org/tmp/x"),
        ("</tmp/x", "</tmp/x"),
        (r"a\n/tmp/x/y.py\n/root/z", r"a\ny.py\n~/z"),  # a line's end as JSON has it
        (r"\u001b[0;32m/tmp/x/y.py\u001b[0m", r"\u001b[0;32my.py\u001b[0m"),  # of a traceback
    ],
)
def test_any_other_path_of_this_machine_leaves_its_last_name(text, left):
    assert privacy.scrubbed(text) == left


def test_who_works_in_the_root_as_in_a_container_names_no_more(monkeypatch):
    monkeypatch.chdir("/")
    assert privacy.shown("/srv/lovelace/a.json") == "a.json"
    assert privacy.scrubbed("1/2 of /home/lovelace/a.json") == "1/2 of ~/a.json"


def test_nobody_is_named_from_the_folder_that_holds_the_homes(at_home, monkeypatch):
    home, _ = at_home
    monkeypatch.chdir(home.parent)
    assert privacy.shown(home / "a.json") == "~/a.json"


def test_a_login_is_taken_out_of_paths_and_no_word_is(monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "ada")
    scrubber = privacy.Scrubber({})
    cleaned = scrubber.clean("a.py", b'open("/scratch/ada/x.jsonl")  # by ada')
    assert cleaned == b'open("/scratch/user/x.jsonl")  # by ada'


def test_programs_and_records_keep_the_paths_that_name_nobody():
    for name in ("train.py", "records.jsonl"):
        assert privacy.Scrubber({}).clean(name, b'"/tmp/cache/x"') == b'"/tmp/cache/x"'


def test_the_host_is_found_in_the_name_of_a_tensorboard_folder(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "adas-laptop")
    cleaned = privacy.Scrubber({}).clean("log.txt", b"runs/Nov28_17-28-41_adas-laptop/events")
    assert cleaned == b"runs/Nov28_17-28-41_host/events"


ORDINARY = [
    "It is quartz.",
    "mica/quartz/feldspar, quartz: 12 %, ratio quartz:100",
    '{"host": "quartz"}',
    r"\quartz in TeX, Quartz, quartzite",
    "quartz = records[0]",
]
AS_A_HOST = {
    "ada@quartz:~$ ls": "ada@host:~$ ls",
    "http://quartz/lab": "http://host/lab",
    "listens on quartz:8888": "listens on host:8888",
    "quartz.local answers": "host.local answers",
    "quartz.geo.example.org answers": "host answers",
    r"\\quartz\share": r"\\host\share",
    r'"\\quartz\share"': r'"\\host\share"',
    "runs/Nov28_17-28-41_quartz/events": "runs/Nov28_17-28-41_host/events",
    "events.out.tfevents.1732.quartz.77.0": "events.out.tfevents.1732.host.77.0",
    'hostname: quartz, {"hostname": "quartz"}': 'hostname: host, {"hostname": "host"}',
    r"{\"node_name\": \"quartz\"}": r"{\"node_name\": \"host\"}",
    "Linux quartz 6.1.0": "Linux host 6.1.0",
}


def cleaned_on(host, name, text, monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    return privacy.Scrubber({}).clean(name, text.encode()).decode()


@pytest.mark.parametrize("name", ["records.jsonl", "README.md", "train.py"])
@pytest.mark.parametrize("text", ORDINARY)
def test_a_word_that_a_machine_is_called_by_stays_a_word(text, name, monkeypatch):
    assert cleaned_on("quartz", name, text, monkeypatch) == text


@pytest.mark.parametrize("name", ["sweep.jsonl", "log.txt", "train.py"])
@pytest.mark.parametrize("text", AS_A_HOST)
def test_a_machine_that_is_called_by_a_word_is_not_named_as_one(text, name, monkeypatch):
    assert cleaned_on("quartz.geo.example.org", name, text, monkeypatch) == AS_A_HOST[text]


def test_a_machine_is_not_named_in_a_path_from_the_root(monkeypatch):
    left = cleaned_on("quartz", "run.py", '"/net/quartz/lab" and "/net/quartz"', monkeypatch)
    assert left == '"/net/host/lab" and "/net/host"'


@pytest.mark.parametrize(
    "host", ["adas-laptop", "DESKTOP-4F2K1", "node17", "AdasBook", "drlovelace"]
)
def test_a_name_that_is_no_word_is_taken_out_alone_too_but_not_of_data(host, monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "lovelace")
    assert cleaned_on(host, "log.txt", f"ran on {host}", monkeypatch) == "ran on host"
    assert cleaned_on(host, "a.jsonl", f"ran on {host}", monkeypatch) == f"ran on {host}"


def test_a_path_is_found_as_json_writes_it():
    scrubber = privacy.Scrubber({"D:\\kurs\\": ""})
    assert scrubber.clean("a.json", rb'"D:\\kurs\\run"') == b'"run"'
