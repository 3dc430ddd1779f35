"""Attacks on the sandbox by programs: contained, named, and the neighbour notices nothing.

Each runs at both strong levels, forked from a warm server, beside an honest submission that works
in the same sandbox all the while. Payloads are harmless: they try, and tell what they reached.
"""

import hashlib
import json
import os
import sys
import threading
import time

import psutil
import pytest
from sandboxes import SMALL, STRONG, opened, run_code

from course_utils.errors import CourseError
from course_utils.execution.sandbox.box import read_json_back
from course_utils.execution.sandbox.filter import compile_filter
from course_utils.execution.sandbox.limits import GIB
from course_utils.execution.sandbox.place import read_back

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the strong levels are Linux's"),
    pytest.mark.skipif(not compile_filter(), reason="pip install -r requirements-grading.txt"),
]

HONEST = """
import os, pathlib, time
beats = 0
pathlib.Path("mine.txt").write_text("honest work")
while not os.path.exists("stop"):
    time.sleep(0.02); beats += 1
print(pathlib.Path("mine.txt").read_text(), sorted(os.listdir(".")), beats > 10)
"""


class Neighbour:
    """An honest submission that runs while the others attack; `stop` tells how it fared."""

    def __init__(self, box):
        self.box, self.place = box, box.place()
        limits = SMALL.with_changes(wall=600)
        self.thread = threading.Thread(target=self._run, args=(limits,))
        self.thread.start()
        self.file = self.place.folder / "mine.txt"
        while not self.file.exists():
            assert self.thread.is_alive(), self.outcome
            time.sleep(0.02)

    def _run(self, limits):
        self.outcome = run_code(self.box, HONEST, place=self.place, limits=limits)

    def stop(self):
        (self.place.folder / "stop").touch()
        self.thread.join(20)
        return self.outcome


@pytest.fixture(scope="module", params=STRONG)
def box(request, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    os.environ["GRADER_SECRET"] = "of the grader"
    (cache / "weights").write_text("shared", encoding="utf-8")
    for folder in (cache, *cache.parents[:2]):
        folder.chmod(0o755)
    with opened(request.param, warm=True, cache=cache) as opened_box:
        yield opened_box
    del os.environ["GRADER_SECRET"]


@pytest.fixture(scope="module")
def neighbour(box):
    honest = Neighbour(box)
    yield honest
    outcome = honest.stop()
    assert outcome.verdict.text == "finished", outcome
    assert outcome.stdout == "honest work ['.home', 'mine.txt', 'stop'] True\n"


TRIES = """
import ctypes, glob, json, os, signal, socket, subprocess, sys
target = json.loads(sys.argv[1])
found = []
def tries(name, action):
    try:
        if action() is not False:
            found.append(name)
    except (OSError, KeyError, IndexError, ImportError):
        pass
libc = ctypes.CDLL(None, use_errno=True)
"""


def what_worked(box, attack: str, **target) -> list[str]:
    """The names of the tries that an attack got through with."""
    code = f"{TRIES}{attack}\nprint(json.dumps(found))"
    outcome = run_code(box, code, json.dumps(target))
    assert outcome.verdict.text == "finished", (outcome.verdict, outcome.stderr)
    return json.loads(outcome.stdout)


# --- Reading and writing what is not theirs -------------------------------------------------------


def test_hidden_records_solutions_and_passwords_are_not_read(box, neighbour, tmp_path):
    hidden = tmp_path / "hidden_records.jsonl"
    hidden.write_text("the answers", encoding="utf-8")
    attack = """
for path in (target["hidden"], "/etc/shadow", target["neighbour"], "/proc/1/environ"):
    tries(path, lambda: open(path).read() or False)
tries("list", lambda: os.listdir(os.path.dirname(target["neighbour"])))
tries("home", lambda: os.listdir("/home"))"""
    assert what_worked(box, attack, hidden=str(hidden), neighbour=str(neighbour.file)) == []


def test_results_programs_and_the_shared_cache_are_not_written(box, neighbour, tmp_path):
    result = tmp_path / "result.json"
    result.write_text("{}", encoding="utf-8")
    before = hashlib.sha256((box.cache / "weights").read_bytes()).hexdigest()
    attack = """
for path in (target["result"], target["cache"] + "/weights", target["cache"] + "/new",
             target["kit"] + "/__init__.py", os.__file__, "/etc/passwd", "/usr/x", target["mine"]):
    tries(path, lambda: open(path, "a"))
tries("unlink", lambda: os.unlink(target["cache"] + "/weights"))
tries("rename", lambda: os.rename(target["cache"] + "/weights", "mine"))
tries("link", lambda: os.link(target["cache"] + "/weights", "mine"))"""
    targets = {"result": str(result), "cache": str(box.cache), "mine": str(neighbour.file)}
    assert what_worked(box, attack, kit=str(box.library / "course_utils"), **targets) == []
    assert hashlib.sha256((box.cache / "weights").read_bytes()).hexdigest() == before


def test_the_shared_cache_can_be_read(box):
    attack = 'tries("weights", lambda: open(target["cache"] + "/weights").read() == "shared")'
    assert what_worked(box, attack, cache=str(box.cache)) == ["weights"]


def test_no_secret_is_in_the_environment_or_in_the_parents(box, neighbour):
    attack = """
tries("own", lambda: os.environ["GRADER_SECRET"])
for path in glob.glob("/proc/[0-9]*/environ"):
    tries(path, lambda: b"of the grader" in open(path, "rb").read())"""
    assert what_worked(box, attack) == []


def test_a_link_to_a_secret_is_not_followed_when_read_back(box, tmp_path):
    (tmp_path / "secret.json").write_text('{"score": 100}', encoding="utf-8")
    place = box.place()
    code = f"import os; os.symlink({str(tmp_path / 'secret.json')!r}, 'result.json')"
    assert run_code(box, code, place=place).verdict.ok
    with pytest.raises(CourseError):
        read_json_back(place, "result.json", SMALL)


def test_a_pickle_comes_back_as_bytes_that_nobody_loads(box):
    place = box.place()
    code = """import os, pickle
class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/owned-by-pickle",)
open("result.json", "wb").write(pickle.dumps(Evil()))"""
    assert run_code(box, code, place=place).verdict.ok
    assert read_back(place, "result.json", 10_000).startswith(b"\x80")
    with pytest.raises(CourseError, match="not valid JSON"):
        read_json_back(place, "result.json", SMALL)
    assert not os.path.exists("/tmp/owned-by-pickle")


# --- Network, signals, other processes ------------------------------------------------------------


def test_no_network_and_no_abstract_socket(box):
    import socket  # late: a server of the test's own

    with socket.socket() as server, socket.socket(socket.AF_UNIX) as abstract:
        server.bind(("127.0.0.1", 0))
        server.listen()
        abstract.bind(f"\0course-{os.getpid()}")
        abstract.listen()
        attack = """
tries("loopback", lambda: socket.create_connection(("127.0.0.1", target["port"]), 2))
tries("internet", lambda: socket.create_connection(("8.8.8.8", 53), 2))
tries("datagram", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
tries("packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
tries("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))
tries("abstract", lambda: socket.socket(socket.AF_UNIX).connect("\\0" + target["name"]))"""
        name = f"course-{os.getpid()}"
        assert what_worked(box, attack, port=server.getsockname()[1], name=name) == []


def test_no_process_outside_is_killed(box, neighbour):
    attack = """
others = [p for p in (os.getppid(), 1, target["grader"], target["server"]) if p != os.getpid()]
for pid in others:
    tries(f"kill {pid}", lambda: os.kill(pid, signal.SIGKILL))
    tries(f"stop {pid}", lambda: os.kill(pid, signal.SIGSTOP))"""
    assert what_worked(box, attack, grader=os.getpid(), server=box.zygote.pid) == []
    assert psutil.Process(box.zygote.pid).is_running()


def test_killing_everybody_kills_only_oneself(box, neighbour):
    outcome = run_code(box, "import os\nos.kill(-1, 9)\nprint('alive')")
    assert outcome.verdict.reason in ("finished", "died", "failed")
    assert neighbour.thread.is_alive()


def test_no_other_process_is_traced_or_read(box, neighbour):
    attack = """
libc.ptrace.restype = ctypes.c_long
for pid in {*target["pids"], *range(1, 60)} - {os.getpid()}:
    path = f"/proc/{pid}"
    tries(f"trace {pid}", lambda: libc.ptrace(16, pid, 0, 0) == 0)
    tries(f"memory {pid}", lambda: open(f"{path}/mem", "rb"))
    tries(f"files {pid}", lambda: os.listdir(f"{path}/fd"))
    tries(f"words {pid}", lambda: target["landlock"] and open(f"{path}/cmdline").read())"""
    is_landlock = box.level == "landlock"
    assert what_worked(box, attack, pids=psutil.pids(), landlock=is_landlock) == []


def test_no_way_into_another_namespace_or_mount(box):
    attack = """
for flag in (0x10000000, 0x00020000, 0x20000000, 0x40000000):
    tries(f"unshare {flag:x}", lambda: libc.unshare(flag) == 0)
tries("mount", lambda: libc.mount(b"none", b"/usr", b"tmpfs", 0, None) == 0)
tries("setns", lambda: libc.setns(os.open("/proc/1/ns/mnt", os.O_RDONLY), 0) == 0)
tries("chroot", lambda: os.chroot("."))
tries("device", lambda: os.mknod("disk", 0o60666, os.makedev(8, 0)))
tries("root", lambda: os.setuid(0))
tries("keyring", lambda: libc.syscall(250, 0, -3, 1) >= 0)
tries("uring", lambda: libc.syscall(425, 1, 0) >= 0)
tries("clone", lambda: libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0) > 0)"""
    assert what_worked(box, attack) == []


def test_a_setuid_program_gives_no_rights(box):
    code = """import os, subprocess
print([line for line in open("/proc/self/status") if line.startswith("NoNewPrivs")])"""
    assert "1" in run_code(box, code).stdout


# --- The next submission, the server, what stays behind -------------------------------------------


def test_the_server_can_not_be_spoiled_for_the_next(box, neighbour):
    attack = """
import builtins, random
builtins.open = None
json.loads = lambda *_: {"score": 100}
sys.modules["course_utils"] = None
sys.path.insert(0, os.getcwd())
for number in range(3, 200):
    tries(f"file {number}", lambda: os.write(number, b'{"kill": true}'))"""
    assert what_worked(box, attack) == []
    after = run_code(box, "import json, course_utils; print(json.loads('1'), open)")
    assert after.stdout.startswith("1 <built-in function open")


def test_a_process_that_outlives_the_run_is_ended(box):
    code = """import os, signal, subprocess, sys, time
for number in (1, 2, 15):
    signal.signal(number, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        subprocess.Popen(["sleep", "777"], start_new_session=True)
        time.sleep(777)
    os._exit(0)
os.wait()
print("left")"""
    assert run_code(box, code).stdout == "left\n"
    words = [p.info["cmdline"] for p in psutil.process_iter(["cmdline"])]
    assert ["sleep", "777"] not in words


def test_a_keeper_that_is_asked_nothing_waits_for_nobody(box):
    place = box.place()
    leash = box.lease(place)
    leash.close()
    assert run_code(box, "print(1)").stdout == "1\n"


# --- Using up the machine -------------------------------------------------------------------------

BOMBS = {
    "memory": "import time\nx = []\nwhile True: x.append(b'1' * 20_000_000); time.sleep(0.01)",
    "disk": "import time\nfor n in range(99):\n    open(str(n), 'wb').write(b'1' * 3_000_000)\n"
    "    time.sleep(0.02)\ntime.sleep(5)",
    "output": "while True: print('x' * 10_000)",
    "wall": "import signal\nsignal.signal(15, signal.SIG_IGN)\nwhile True: pass",
}


@pytest.mark.parametrize("reason", BOMBS)
def test_what_uses_up_the_machine_is_ended_by_name(box, neighbour, reason):
    limits = SMALL.with_changes(wall=2) if reason == "wall" else SMALL
    outcome = run_code(box, BOMBS[reason], limits=limits)
    assert outcome.verdict.reason == reason
    assert neighbour.thread.is_alive()


def test_output_does_not_fill_the_graders_memory(box):
    before = psutil.Process().memory_info().rss
    code = "import os\nblock = b'x' * 1_000_000\nwhile True: os.write(1, block); os.write(2, block)"
    outcome = run_code(box, code, limits=SMALL.with_changes(output=200_000_000))
    assert outcome.verdict.reason == "output"
    assert len(outcome.stdout) <= 1_000_000
    assert psutil.Process().memory_info().rss - before < 50_000_000


def test_one_file_is_not_larger_than_the_disk_limit(box):
    code = """import os, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
file = os.open("big", os.O_CREAT | os.O_WRONLY)
try:
    os.pwrite(file, b"x", 100_000_000)
    print("written")
except OSError:
    print("refused")"""
    assert run_code(box, code).stdout == "refused\n"


def test_a_fork_bomb_does_not_reach_the_neighbour(box, neighbour):
    code = """import os
while True:
    try:
        os.fork()
    except OSError:
        pass"""
    limits = SMALL.with_changes(wall=2, memory=4 * GIB)
    assert run_code(box, code, limits=limits).verdict.reason in ("wall", "processes")
    assert neighbour.thread.is_alive()


def test_shared_memory_is_not_a_way_to_the_next(box):
    write = "open('/dev/shm/note', 'w').write('for the next')"
    read = "print(open('/dev/shm/note').read())"
    run_code(box, write)
    assert "for the next" not in run_code(box, read).stdout
