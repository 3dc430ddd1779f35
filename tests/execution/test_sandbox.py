"""The sandbox: what a program inside reaches, what it may use, and the verdict when it is over."""

import json
import os
import socket
import sys
import time

import psutil
import pytest
from sandboxes import SMALL, STRONG, level_or_skip, opened, run_code

from course_utils import kit
from course_utils.errors import CourseError, UsageError
from course_utils.execution.sandbox import bubblewrap, levels
from course_utils.execution.sandbox.box import LEVELS, Sandbox, read_json_back, sweep
from course_utils.execution.sandbox.filter import compile_filter
from course_utils.execution.sandbox.limits import GIB, MIB, Limits
from course_utils.execution.sandbox.place import copy_in, read_back

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no sandbox on Windows")

HANDED_OUT = """Somebody else of the group looks up every answer. A wrong answer is learned as well
as a right one."""


@pytest.fixture(scope="module", params=STRONG)
def box(request):
    with opened(request.param) as opened_box:
        yield opened_box


@pytest.fixture(scope="module")
def plain_box():
    with Sandbox("limits") as opened_box:
        yield opened_box


# --- Levels ---------------------------------------------------------------------------------------


def test_every_level_is_tried_and_says_what_is_wrong_or_weak():
    tried = {one.level: one for one in levels.probe()}
    assert tuple(tried) == LEVELS
    assert tried["none"].works
    assert all(one.works or one.why for one in tried.values())


def test_auto_takes_the_strongest_that_works():
    works = [one.level for one in levels.probe() if one.works]
    assert levels.choose_level("auto").level == works[0]


def test_a_level_that_is_missing_names_its_cure(monkeypatch):
    monkeypatch.setattr(bubblewrap, "program", lambda: None)
    tried = levels._try("bwrap")
    assert not tried.works
    assert "install bubblewrap" in tried.cure


def test_landlock_without_a_filter_is_not_enough_for_an_ordinary_user(monkeypatch):
    monkeypatch.setattr(levels.landlock, "abi", lambda: 7)
    monkeypatch.setattr(levels.os, "getuid", lambda: 1000)
    monkeypatch.setattr(levels, "compile_filter", lambda: b"")
    why, cure = levels._missing("landlock")
    assert "sockets" in why
    assert "pyseccomp" in cure


def test_ubuntus_apparmor_is_named_with_its_cure(monkeypatch):
    answers = {"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1"}
    monkeypatch.setattr(bubblewrap, "_reads", lambda path: answers.get(path, ""))
    why, cure = bubblewrap.failure("bwrap: setting up uid map: Permission denied")
    assert "AppArmor" in why
    assert "apparmor.d" in cure


def test_an_unknown_level_and_a_limit_of_nothing_are_refused():
    with pytest.raises(CourseError, match="no such level"):
        levels.choose_level("docker")
    with pytest.raises(UsageError, match="memory"):
        Limits(memory=0)


def test_strangers_need_landlock_at_least():
    assert [levels.is_for_strangers(level) for level in LEVELS] == [True, True, False, False]


# --- What a program inside reaches ----------------------------------------------------------------

REACH = """
import json, os, socket, sys
import course_utils.kit as kit
secret, port = sys.argv[1], int(sys.argv[2])
def tries(action):
    try:
        action()
        return True
    except OSError:
        return False
found = {
    "read": tries(lambda: open(secret).read()),
    "write": tries(lambda: open(secret, "a")),
    "shadow": tries(lambda: open("/etc/shadow").read()),
    "connect": tries(lambda: socket.create_connection(("127.0.0.1", port), 2)),
    "mine": tries(lambda: open("mine", "w").write("x")),
    "kit": os.path.exists(kit.ROOT / "course_utils"),
    "uid": os.getuid(),
    "environment": sorted(os.environ),
}
print(json.dumps(found))
"""


@pytest.fixture
def reached(box, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    (tmp_path / "secret").write_text("of the grader", encoding="utf-8")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = str(server.getsockname()[1])
        outcome = run_code(box, REACH, str(tmp_path / "secret"), port)
    assert outcome.verdict.ok, outcome.stderr
    return json.loads(outcome.stdout)


def test_only_the_own_folder_and_the_kit_are_reached(reached):
    assert {k: v for k, v in reached.items() if isinstance(v, bool)} == {
        **dict.fromkeys(("read", "write", "shadow", "connect"), False),
        **dict.fromkeys(("mine", "kit"), True),
    }


def test_no_token_comes_in_and_root_is_nobody_inside(reached):
    assert "HF_TOKEN" not in reached["environment"]
    assert reached["uid"] != 0


def test_two_submissions_of_root_have_two_users(box):
    if not box.root_user:
        pytest.skip("only root can give users")
    printed = [run_code(box, "import os; print(os.getuid())").stdout for _ in range(2)]
    assert printed[0] != printed[1]


@pytest.mark.skipif(not compile_filter(), reason="pip install -r requirements-grading.txt")
def test_no_new_namespace_no_datagram(box):
    code = """import ctypes, os, socket
libc = ctypes.CDLL(None, use_errno=True)
print(libc.unshare(0x10000000), libc.mount(b"none", b"/", b"tmpfs", 0, None))
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
except OSError:
    print("closed")"""
    assert run_code(box, code).stdout.split() == ["-1", "-1", "closed"]


# --- Limits and their verdicts --------------------------------------------------------------------

GREEDY = {
    "memory": "import time\nx = []\nwhile True:\n    x.append(b'1' * 30_000_000); time.sleep(0.02)",
    "disk": "import time\nfor n in range(50):\n    open(str(n), 'wb').write(b'1' * 2_000_000)\n"
    "    time.sleep(0.02)\ntime.sleep(9)",
    "files": "import time\nfor n in range(400):\n    open(str(n), 'w')\ntime.sleep(9)",
    "output": "while True:\n    print('x' * 1000)",
    "cpu": "while True:\n    pass",
    "wall": "import time; time.sleep(60)",
}
TIGHT = SMALL.with_changes(files=200)


def limits_for(reason: str) -> Limits:
    changes = {"cpu": {"cpu": 0.5}, "wall": {"wall": 1.0}}
    return TIGHT.with_changes(**changes.get(reason, {}))


@pytest.mark.parametrize("reason", GREEDY)
def test_what_takes_too_much_is_ended_and_named(plain_box, reason):
    outcome = run_code(plain_box, GREEDY[reason], limits=limits_for(reason))
    assert outcome.verdict.reason == reason
    assert outcome.seconds < 15


def test_memory_is_told_as_used_of_limit(plain_box):
    verdict = run_code(plain_box, GREEDY["memory"], limits=TIGHT).verdict
    assert verdict.limit == 300 * MIB < verdict.used
    assert verdict.text == f"memory {verdict.used / MIB:.0f} of 300 MiB"


BOMB = """import os, time
made = 0
while made < 300:
    try:
        if os.fork() == 0:
            time.sleep(613)
    except OSError:
        break
    made += 1
print(made, flush=True)"""


def test_a_fork_bomb_is_stopped_and_nothing_of_it_stays(box):
    before = set(psutil.pids())
    outcome = run_code(box, BOMB, limits=SMALL.with_changes(wall=60, memory=2 * GIB))
    assert outcome.verdict.reason in ("processes", "finished")
    if box.root_user or box.level == "bwrap":  # RLIMIT_NPROC counts this submission alone
        assert int(outcome.stdout) <= SMALL.processes
    new = [p for p in psutil.process_iter(["cmdline"]) if p.pid not in before]
    assert not [p for p in new if BOMB in (p.info["cmdline"] or [])]


@pytest.mark.parametrize(
    ("code", "reason", "text"),
    [
        ("print(1)", "finished", "finished"),
        ("import sys; sys.exit(3)", "failed", "ended with exit code 3"),
        ("import os; os.kill(os.getpid(), 11)", "died", "died (SIGSEGV)"),
        ("import warnings; warnings.warn('w')", "finished", "finished"),
    ],
)
def test_an_end_has_its_name(plain_box, code, reason, text):
    verdict = run_code(plain_box, code).verdict
    assert (verdict.reason, verdict.text) == (reason, text)


def test_a_program_that_is_not_there_is_a_verdict(plain_box):
    outcome = plain_box.run_command(["no-such-program"], plain_box.place(), SMALL)
    assert outcome.verdict.reason == "failed"
    assert "no-such-program" in outcome.stderr


def test_a_process_left_behind_is_ended(box):
    code = """import os, subprocess, sys, time
subprocess.Popen(["sleep", "611"], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(612)"""
    assert run_code(box, code).verdict.ok
    names = [p.info["cmdline"] for p in psutil.process_iter(["cmdline"])]
    assert ["sleep", "611"] not in names


def test_when_the_holder_is_gone_the_keeper_ends_everything(plain_box):
    place = plain_box.place()
    leash = plain_box.lease(place)
    code = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(600)"
    with open(os.devnull, "r+b") as nothing:
        request = plain_box.request(place, [sys.executable, "-c", code], SMALL)
        leash.begin(request, [nothing.fileno()] * 3)
    deadline = time.monotonic() + 20
    while not (place.folder / "pid").exists() or not (place.folder / "pid").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    pid = int((place.folder / "pid").read_text())
    leash.close()
    assert not psutil.pid_exists(pid)


# --- What comes back ------------------------------------------------------------------------------


def test_a_function_is_called_with_json_and_answers_in_json(box):
    outcome, answer = box.call("operator:itemgetter", "x", box.place(), SMALL)
    assert answer is None  # an itemgetter is no JSON
    assert outcome.verdict.reason == "failed"
    outcome, answer = box.call("statistics:mean", [1, 2, 6], box.place(), SMALL)
    assert (outcome.verdict.reason, answer) == ("finished", 3)


@pytest.mark.parametrize(("level", "warm"), [*((one, False) for one in STRONG), ("bwrap", True)])
def test_of_the_assignments_only_what_was_handed_out_can_be_read(level, warm):
    """All that the checks in the notebooks' last cells read: what is asked for, texts, points."""
    solution = kit.ASSIGNMENTS / "week09_10_manufacturing" / "solution" / "README.md"
    code = f"""try: open({str(solution)!r})
except OSError: print('closed')
from course_utils.assignments import scripts, week05, week09_10
from course_utils.lab import own_words
for one in (week05, week09_10): one.check_submission('.').lines()
print(scripts.asked_for().records)
print(own_words.source_of({HANDED_OUT!r}))"""
    with opened(level, warm) as own_box:
        lines = run_code(own_box, code).stdout.splitlines()
    bars = [line for line in lines if line.startswith("checking") or not line.strip()]
    assert [line for line in lines if line not in bars] == ["closed", "5000", "the hand-out"]


@pytest.mark.parametrize(
    "trick",
    [
        "os.symlink('/etc/hostname', 'answer')",
        "os.mkfifo('answer')",
        "os.mkdir('answer')",
        "os.symlink('/etc', 'way')",
        "open('answer', 'w').write('[' * 100_000)",
        "open('answer', 'w').write('1' * 3_000_000)",
        "None",
    ],
)
def test_only_a_small_plain_file_of_the_place_is_read_back(plain_box, trick):
    place = plain_box.place()
    assert run_code(plain_box, f"import os; {trick}", place=place).verdict.ok
    name = "way/hostname" if "way" in trick else "answer"
    with pytest.raises(CourseError):
        read_json_back(place, name, SMALL.with_changes(answer=MIB))


@pytest.mark.parametrize("name", ["/etc/hostname", "../../secret", "a/../../b", ""])
def test_a_path_out_of_the_place_is_refused(plain_box, name):
    with pytest.raises(CourseError, match="not a path within"):
        read_back(plain_box.place(), name, MIB)


def test_a_copy_keeps_links_as_links_and_leaves_pipes_out(plain_box, tmp_path):
    (tmp_path / "data.txt").write_text("d", encoding="utf-8")
    (tmp_path / "link").symlink_to("/etc/shadow")
    os.mkfifo(tmp_path / "pipe")
    place = plain_box.place()
    copy_in(tmp_path, place, SMALL)
    assert (place.folder / "data.txt").read_text(encoding="utf-8") == "d"
    assert os.readlink(place.folder / "link") == "/etc/shadow"
    assert not (place.folder / "pipe").exists()


def test_a_folder_that_is_too_large_is_refused_before_it_is_copied(plain_box, tmp_path):
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(5 * GIB)
    with pytest.raises(CourseError, match="more than"):
        copy_in(tmp_path, plain_box.place(), SMALL)


def test_what_a_killed_sandbox_left_is_swept_away(tmp_path):
    living, dead = tmp_path / f"course-box-{os.getpid()}-a", tmp_path / "course-box-4194999-b"
    others = tmp_path / "course-box-notes"
    for folder in (living, dead, others):
        (folder / "1" / "work").mkdir(parents=True)
    sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == [living, others]


def test_the_sandbox_leaves_nothing_behind(tmp_path):
    level = level_or_skip("auto")
    with Sandbox(level) as one:
        code = "import os; os.makedirs('a/b'); open('a/b/c', 'w'); os.chmod('a/b', 0)"
        run_code(one, code)
        root = one.root
    assert not root.exists()
    assert (kit.ROOT / "course_utils").is_dir()  # what the library's link leads to is still there
