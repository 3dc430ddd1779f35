"""Attacks by notebooks: on their client, their verdict, and the notebooks beside them."""

import sys

import nbformat
import psutil
import pytest
from sandboxes import STRONG, opened
from small_notebooks import outputs, run, write_notebook

from course_utils.execution.custody import Custody
from course_utils.execution.sandbox.limits import MIB, Limits
from course_utils.execution.workers import WorkerServer

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the strong levels are Linux's"),
    pytest.mark.long,
]

LIMITS = Limits(wall=60, cell=4, memory=500 * MIB, disk=50 * MIB, output=20 * MIB, message=4 * MIB)
HONEST = "import time\ntime.sleep(1)\nprint(sum(range(10)))"
MESSAGE = """from IPython.display import display
display({"text/plain": "x" * 40_000_000}, raw=True)
import time; time.sleep(3.5)"""
DEEP = """from ipykernel.kernelapp import IPKernelApp
kernel = IPKernelApp.instance().kernel
pack = kernel.session.pack
kernel.session.pack = lambda value: b"[" * 1_000_000 if "deep" in value else pack(value)
kernel.session.send(kernel.iopub_socket, "stream", {"deep": 1}, parent=kernel.get_parent())
import time; time.sleep(1)"""
LIAR = """from IPython.core.interactiveshell import InteractiveShell
import types
shell = get_ipython()
async def nothing(*_, **__):
    result = types.SimpleNamespace(success=True, error_before_exec=None, error_in_exec=None)
    result.result = None
    return result
shell.run_cell_async = nothing"""
OUTLIVES = """import os, subprocess, time
subprocess.Popen(["sleep", "787"], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    time.sleep(787)"""
OTHER = {"kernelspec": {"name": "other", "display_name": "x", "language": "python"}}
# A path would not stand in the executed copy: it names nothing of this machine.
OWN_PYTHON = f"import sys; print(sys.executable == {sys.executable!r})"
BASH = {"kernelspec": {"name": "bash", "display_name": "Bash", "language": "bash"}}
# name -> (cells, words of the verdict; several where it is a race)
ATTACKS = {
    "honest_a": ([HONEST], ["finished"]),
    "loops": (["while True: pass", "print('later')"], ["time limit in cell 1"]),
    "deaf": (
        ["import signal; signal.signal(2, signal.SIG_IGN)\nwhile True: pass"],
        ["time limit in cell 1"],
    ),
    "one_large_message": ([MESSAGE], ["output in one piece"]),
    "endless_output": (["while True: print('x' * 100_000)"], ["output", "memory"]),
    "deep_json": ([DEEP, "1"], ["the kernel sent what is no message in cell 1"]),
    "lies_about_its_cells": ([LIAR, "1 / 0", "2"], ["finished"]),  # so: judge what comes out
    "exits": (["1", "import sys; sys.exit(0)", "3"], ["stopped by sys.exit in cell 2"]),
    "outlives_its_cell": ([OUTLIVES], ["finished"]),
    "honest_b": ([HONEST], ["finished"]),
}


@pytest.fixture(scope="module", params=STRONG)
def results(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("attacks")
    notebooks = [
        write_notebook(folder / "in" / name / f"{name}.ipynb", *cells)
        for name, (cells, _) in ATTACKS.items()
    ]
    for name, metadata in (("other_kernel", OTHER), ("bash_kernel", BASH)):
        path = folder / "in" / name / f"{name}.ipynb"
        notebooks.append(write_notebook(path, OWN_PYTHON, metadata=metadata))
    with opened(request.param, warm=True) as box, WorkerServer() as workers:
        custody = Custody(box, LIMITS, workers=workers)
        yield run(notebooks, folder / "out", custody=custody, workers=2, time_limit_minutes=1)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_ends_in_a_named_verdict(results, name):
    assert any(words in results[name].verdict.text for words in ATTACKS[name][1])
    assert results[name].verdict.reached[:1] == [1]


def test_the_neighbours_are_unmoved(results):
    for name in ("honest_a", "honest_b"):
        assert outputs(results[name]) == "45\n"


def test_a_cell_that_never_ran_is_not_taken_for_one_that_did(results):
    copy = nbformat.read(results["exits"].executed, as_version=4)
    assert results["exits"].verdict.reached == [1, 2]
    assert [c.execution_count for c in copy.cells if c.cell_type == "code"][-1] is None


def test_another_kernel_is_not_started(results):
    assert outputs(results["other_kernel"]) == "True\n"
    assert results["bash_kernel"].verdict.text.startswith("rejected: a notebook in bash")


def test_no_process_outlives_its_notebook(results):
    words = [p.info["cmdline"] for p in psutil.process_iter(["cmdline"])]
    assert ["sleep", "787"] not in words
