"""A forked child that behaves like a Python that was just started.

What a library noted when the zygote imported it (folders, seeds, handlers) is put right here.
"""

import atexit
import contextlib
import os
import random
import runpy
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from course_utils.execution.sandbox.keeper import run_program

# Modules that keep folders below the home folder as constants.
HOME = os.environ.get("HOME", "")  # the zygote's, which is nobody's
REMEMBER_HOME = (
    *["huggingface_hub.constants", "datasets.config", "transformers.utils.hub"],
    *["transformers.utils.import_utils", "torch.hub"],
)


def run(argv: list[str]) -> int:
    """Run a command line of this Python here; start any other program. Returns the exit code."""
    how = python_words(argv)
    if how is None:
        return run_program(argv)
    kind, target, rest, safe_path = how
    if (kind, target) == ("module", "ipykernel_launcher"):
        os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    begin_anew()
    sys.argv = [target if kind == "script" else "-m" if kind == "module" else "-c", *rest]
    first = {"script": os.path.dirname(os.path.abspath(target)), "module": os.getcwd(), "code": ""}
    sys.path[:] = [p for p in sys.path if p not in ("", os.getcwd())]
    if not safe_path:
        sys.path.insert(0, first[kind])
    code = 1
    try:
        if kind == "script":
            runpy.run_path(target, run_name="__main__")
        elif kind == "module":
            runpy.run_module(target, run_name="__main__", alter_sys=True)
        else:
            exec(compile(target, "<string>", "exec"), sys.modules["__main__"].__dict__)
        code = 0
    except SystemExit as end:
        code = exit_code(end.code)
    except BaseException:
        traceback.print_exc()
    finish()
    return code


def python_words(argv: list[str]) -> tuple[str, str, list[str], bool] | None:
    """(script, module or code; which; its arguments; whether -P), None for other programs."""
    if os.path.realpath(argv[0]) != os.path.realpath(sys.executable):
        return None
    words, safe_path = argv[1:], False
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word in ("-m", "-c"):
            return ("module" if word == "-m" else "code"), words[0], words[1:], safe_path
        if word == "-P":
            safe_path = True
        elif word == "-X":
            words.pop(0)
        elif not word.startswith(("-X", "-u", "-B")):  # -I, -O, -W, ...: a fresh one knows them
            return None
    return ("script", words[0], words[1:], safe_path) if words else None


def exit_code(value: Any) -> int:
    """As Python does: None is 0, a number is itself, anything else is printed and is 1."""
    if value is None or isinstance(value, int):
        return (value or 0) & 0xFF
    print(value, file=sys.stderr)
    return 1


def begin_anew() -> None:
    """The zygote's traces out of this process."""
    sys.modules["__main__"] = ModuleType("__main__")  # clearing the old one's dict would kill us
    sys.modules["__main__"].__dict__["__builtins__"] = __builtins__
    tempfile.tempdir = None
    renew_home(HOME, os.environ["HOME"])
    random.seed()
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()
    torch = sys.modules.get("torch")
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if torch and threads.isdigit() and int(threads) != torch.get_num_threads():
        torch.set_num_threads(int(threads))
    if (matplotlib := sys.modules.get("matplotlib")) and "MPLBACKEND" in os.environ:
        matplotlib.rcParams["backend"] = os.environ["MPLBACKEND"]
    renew_streams()


def renew_streams() -> None:
    """The zygote's streams were made on its log, which could seek; those of a child are pipes.

    A stream that believes it can seek fails when a script changes its encoding.
    """
    for number, name in ((1, "stdout"), (2, "stderr")):
        old = getattr(sys, name)
        own = {
            "encoding": old.encoding,
            "errors": old.errors,
            "buffering": 1 if number == 2 else -1,
        }
        stream = open(number, "w", closefd=False, **own)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def renew_home(old: str, new: str) -> None:
    """Folders that libraries keep as constants, below this submission's home folder."""
    if not old:
        return
    for name in REMEMBER_HOME:
        module = sys.modules.get(name)
        for key, value in list(vars(module).items()) if module else ():
            if isinstance(value, str | Path) and str(value).startswith(old):
                setattr(module, key, type(value)(str(value).replace(old, new, 1)))


def finish() -> None:
    """What Python does at its end."""
    with contextlib.suppress(BaseException):
        threading._shutdown()
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):
            stream.flush()
