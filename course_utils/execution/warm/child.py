"""A forked child that behaves like a Python that was just started.

What a library noted when the zygote imported it (folders, seeds, handlers) is put right here.
"""

import atexit
import contextlib
import os
import random
import runpy
import signal
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
    # As Python starts: who writes to somebody who has hung up, or too long a file, gets an error
    # and does not die. The keeper has set every signal to its default.
    for name in ("SIGPIPE", "SIGXFSZ"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
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
    """Standard streams that know this process's own files.

    The zygote's were opened on /dev/null and on a log, which can be sought in: on a pipe they raise
    "Illegal seek" when a program changes their encoding or its errors.
    """
    modes = {"stdin": (0, "r"), "stdout": (1, "w"), "stderr": (2, "w")}
    for name, (number, mode) in modes.items():
        old = getattr(sys, name)
        with contextlib.suppress(Exception):
            new = open(  # noqa: SIM115, it stays open as long as the process
                number,
                mode,
                encoding=old.encoding,
                errors=old.errors,
                closefd=False,
                buffering=1 if name == "stderr" else -1,
            )
            setattr(sys, name, new)
            setattr(sys, f"__{name}__", new)


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
