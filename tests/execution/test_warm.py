"""Warm and fresh processes: the same results, and no trace of one submission in another."""

import contextlib
import json
import os
import subprocess
import sys
import tomllib

import nbformat
import psutil
import pytest
from sandboxes import LIGHT, SMALL, opened, run_code
from small_notebooks import write_notebook

from course_utils import kit
from course_utils.errors import CourseError
from course_utils.execution.sandbox.box import Sandbox
from course_utils.execution.sandbox.limits import GIB, Limits
from course_utils.execution.warm import child, zygote

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="fork is safe on Linux only")


@pytest.fixture(scope="module")
def warm():
    with opened("auto", warm=True) as box:
        if not box.warm:
            pytest.skip(box.warm_problem)
        yield box


@pytest.fixture(scope="module")
def fresh():
    with opened("auto") as box:
        yield box


PROGRAMS = {
    "arguments": ["-c", "import sys; print(sys.argv, sys.stdin.read(), sys.path[0])", "a", "b"],
    "exit code": ["-c", "import sys; print('out'); sys.exit(4)"],
    "exit text": ["-c", "import sys; sys.exit('why')"],
    "raises": ["-c", "1 / 0"],
    "killed": ["-c", "import os; os.kill(os.getpid(), 6)"],
    "module": ["-m", "json.tool", "--compact"],
    "safe path": ["-P", "-c", "import os, sys; print(os.getcwd() in sys.path, '' in sys.path)"],
    "hash": ["-c", "print(hash('text'))"],
    "main": ["-c", "import __main__, sys; x = 3; print(__main__.x, sorted(vars(__main__))[-1])"],
    "folders": ["-c", "import os, tempfile; print(tempfile.gettempdir() == os.environ['TMPDIR'])"],
    "at exit": ["-c", "import atexit; atexit.register(print, 'bye'); print('hello')"],
    "threads": ["-c", "import threading; threading.Timer(0.2, print, ['late']).start()"],
    "processes": [
        "-c",
        "import multiprocessing as m\n"
        "p = m.get_context('fork').Process(target=print, args=['child'])\n"
        "p.start(); p.join(); print(p.exitcode)",
    ],
    "streams": [  # the zygote's stdout is a log, in which one can seek; a pipe is none
        "-c",
        "import sys\n"
        "for stream in (sys.stdin, sys.stdout, sys.stderr):\n"
        "    stream.reconfigure(errors='replace')\n"
        "print('said'); print('told', file=sys.stderr)",
    ],
    "hung up": [  # a server whose client has gone
        "-c",
        "import socket\n"
        "ours, theirs = socket.socketpair(); theirs.close()\n"
        "try: ours.send(b'late')\n"
        "except OSError as error: print(type(error).__name__)",
    ],
    "signals": [
        "-c",
        "import signal\n"
        "print([signal.getsignal(s) for s in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM)])",
    ],
    "no python": None,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_warm_process_does_what_a_fresh_one_does(warm, fresh, name):
    words = PROGRAMS[name]
    command = ["/bin/echo", "hi"] if words is None else [sys.executable, *words]
    seen = []
    for box in (warm, fresh):
        place = box.place()
        outcome = box.run_command(command, place, SMALL, stdin=b'{"a": [1, 2]}')
        last = outcome.stderr.strip().splitlines()[-1:]
        out = outcome.stdout.replace(str(place.folder), "FOLDER")
        seen.append((outcome.verdict, outcome.code, out, last))
    assert seen[0] == seen[1]


def test_a_script_finds_the_modules_beside_it(warm, fresh):
    for box in (warm, fresh):
        place = box.place()
        (place.folder / "scripts").mkdir()
        (place.folder / "scripts" / "helper.py").write_text("word = 'found'")
        script = place.folder / "scripts" / "train.py"
        script.write_text("import helper, sys; print(helper.word, sys.argv[1:], __name__)")
        outcome = box.run_command([sys.executable, "scripts/train.py", "-x"], place, SMALL)
        assert outcome.stdout == "found ['-x'] __main__\n", outcome.stderr


def test_two_children_do_not_draw_the_same_random_numbers(warm):
    code = "import random, tempfile; print(random.random())"
    assert run_code(warm, code).stdout != run_code(warm, code).stdout


def test_one_submission_finds_nothing_of_another(warm):
    place = warm.place()
    spoil = "import json, builtins; json.dumps = None; builtins.print = None; open('x', 'w')"
    assert run_code(warm, spoil, place=place).verdict.ok
    look = f"import json, os; print(json.dumps(os.path.exists({str(place.folder / 'x')!r})))"
    assert json.loads(run_code(warm, look).stdout) is False


def test_no_file_of_the_zygote_is_open_in_a_child(warm):
    code = "import os; print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1])"
    assert json.loads(run_code(warm, code).stdout) == [0, 1, 2]


def test_the_server_comes_up_again_after_it_was_killed(warm):
    for process in psutil.Process(warm.zygote.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended between list and kill
            process.kill()
    warm.zygote.kill()
    warm.zygote.wait()
    outcomes = [run_code(warm, "print(1)") for _ in range(2)]
    assert outcomes[-1].stdout == "1\n"


def test_a_library_that_fails_to_import_is_told():
    with (
        Sandbox("none", warm=True, imports=("json:loads()",)) as box,
        pytest.raises(CourseError, match="did not come up") as problem,
    ):
        box.wait_until_warm(30)
    assert problem.value.cure == "--no-warm"


def test_a_module_that_is_not_installed_is_left_out():
    assert zygote.import_all(["json", "no_such_module"]) == [
        "no_such_module (No module named 'no_such_module')"
    ]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-m", "mod", "a"], ("module", "mod", ["a"], False)),
        (["-X", "frozen_modules=off", "-P", "-c", "x"], ("code", "x", [], True)),
        (["train.py", "-m"], ("script", "train.py", ["-m"], False)),
        (["-I", "-c", "x"], None),
        ([], None),
    ],
)
def test_a_python_command_line_is_read_as_python_does(words, expected):
    assert child.python_words([sys.executable, *words]) == expected
    assert child.python_words(["/bin/true", *words]) is None


# --- Other programs that start kernels ------------------------------------------------------------


def test_papermill_itself_starts_its_kernels_in_the_sandbox(warm, tmp_path):
    project = tomllib.loads((kit.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    [(name, target)] = project["entry-points"]["jupyter_client.kernel_provisioners"].items()
    code = f"""
import os, sys
from importlib.metadata import EntryPoint
from jupyter_client.provisioning.factory import KernelProvisionerFactory as Factory
Factory.instance().provisioners[{name!r}] = EntryPoint({name!r}, {target!r}, Factory.GROUP_NAME)
from course_utils.execution.sandbox.box import Sandbox
from course_utils.execution.warm.provisioner import ConfinedProvisioner
import papermill
with Sandbox({warm.level!r}) as box:
    ConfinedProvisioner.box = box
    papermill.execute_notebook("hw.ipynb", "out.ipynb", progress_bar=False, cwd=os.getcwd())
"""
    tries = "try:\n    open('/etc/shadow').read()\nexcept OSError:\n    print('closed')"
    write_notebook(tmp_path / "hw.ipynb", "print(open('data.txt').read())", tries)
    (tmp_path / "data.txt").write_text("beside it", encoding="utf-8")
    environment = {**os.environ, "JUPYTER_DEFAULT_PROVISIONER_NAME": name}
    environment["PYTHONPATH"] = os.pathsep.join([str(kit.ROOT), *sys.path])
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    cells = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells
    assert [c.outputs[0].text for c in cells[1:]] == ["beside it\n", "closed\n"]


# --- The real libraries ---------------------------------------------------------------------------

TRAIN = """
import json, os, torch
from torch.utils.data import DataLoader
from transformers import LlamaConfig, LlamaForCausalLM
from peft import LoraConfig, get_peft_model
torch.manual_seed(0)
size = dict(hidden_size=16, intermediate_size=32, num_attention_heads=2, num_hidden_layers=2)
model = LlamaForCausalLM(LlamaConfig(vocab_size=64, **size))
model = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "v_proj"]))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
losses = []
for batch in DataLoader(torch.randint(0, 64, (24, 12)), batch_size=4, shuffle=True):
    loss = model(input_ids=batch, labels=batch).loss
    loss.backward(); optimizer.step(); optimizer.zero_grad()
    losses.append(round(loss.item(), 7))
print(json.dumps(losses))
"""


@pytest.mark.long
def test_training_gives_the_same_losses_forked_and_fresh():
    limits = Limits(wall=120, memory=2 * GIB)
    printed = []
    for is_warm in (True, True, False):
        with opened("auto", warm=is_warm, imports=None) as box:
            outcome = run_code(box, TRAIN, limits=limits)
            assert outcome.verdict.ok, outcome.stderr
            printed.append(json.loads(outcome.stdout))
    assert len(printed[0]) == 6
    assert printed[0] == printed[1] == printed[2]


@pytest.mark.long
def test_nothing_that_would_not_survive_a_fork_is_in_the_zygote():
    with opened("none", warm=True, imports=None) as box:
        told = box.told
    assert set(told["threads"]) <= {"jemalloc_bg_thd"}  # made to survive a fork
    assert told["missing"] == []


def test_the_list_for_tests_is_a_part_of_the_real_one():
    assert {"ipykernel.kernelapp", "ipykernel.ipkernel"} <= set(LIGHT) & set(zygote.IMPORTED)
