"""Which kernel runs a notebook, and the environment in which it runs."""

import contextlib
import logging
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

OWN = "python3"


class UnusableNotebook(Exception):
    """The notebook can't be started at all; the arguments are the problem and its cure."""


def choose_kernel(notebook: Mapping[str, Any], logger: logging.Logger) -> tuple[Any, str, str]:
    """(kernel specification, its name, language) for a notebook.

    A Python notebook made in another environment names a kernel that isn't here, or whose
    environment was deleted since; the course's own Python runs it. Raises UnusableNotebook when no
    kernel fits.
    """
    named = notebook["metadata"].get("kernelspec", {})
    language = notebook["metadata"].get("language_info", {}).get("name") or named.get("language")
    wanted, language = named.get("name") or OWN, language or "python"
    spec, problem = _usable(wanted)
    if spec:
        return spec, wanted, language
    if language.lower() == "python":
        if own := _usable(OWN)[0] or _own_python():
            logger.warning(f"{problem}: running with the course's own Python instead.")
            return own, OWN, language
        raise UnusableNotebook(problem, "install ipykernel: python -m pip install ipykernel")
    cure = "install that kernel, or leave the notebook out: the course runs Python notebooks"
    raise UnusableNotebook(f"{problem} ({language})", cure)


def own_kernel(notebook: Mapping[str, Any]) -> tuple[Any, str, str]:
    """This Python's kernel, whatever a stranger's notebook asks for. Raises UnusableNotebook."""
    named = notebook["metadata"].get("kernelspec", {})
    language = notebook["metadata"].get("language_info", {}).get("name") or named.get("language")
    if (language or "python").lower() != "python":
        raise UnusableNotebook(
            f"a notebook in {language}", "in the sandbox, only Python notebooks are run"
        )
    if (spec := _own_python()) is None:
        raise UnusableNotebook("no kernel of this Python", "python -m pip install ipykernel")
    return spec, OWN, "python"


def _usable(name: str) -> tuple[Any, str]:
    """(the specification, "") of a kernel that could start, or (None, why not)."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        spec = KernelSpecManager().get_kernel_spec(name)
    except (NoSuchKernel, KeyError):
        return None, f"no Jupyter kernel named {name} here"
    except Exception as error:  # a kernel.json that is broken in whatever way
        return None, f"the Jupyter kernel {name} can't be read ({type(error).__name__}: {error})"
    if not spec.argv or not shutil.which(program_of(spec)):
        return None, f"the program of the Jupyter kernel {name} is gone ({program_of(spec)})"
    return spec, ""


def program_of(spec: Any) -> str:
    """The program that a kernel starts; jupyter_client takes its own Python for a bare `python`."""
    program = spec.argv[0] if spec.argv else "no program is named"
    plain = {"python", f"python{sys.version_info[0]}", "python{}.{}".format(*sys.version_info[:2])}
    return sys.executable if program in plain else program


def _own_python() -> Any:
    """A kernel of the running Python, where another one took the name python3."""
    with contextlib.suppress(ImportError):
        from ipykernel.kernelspec import get_kernel_dict
        from jupyter_client.kernelspec import KernelSpec

        return KernelSpec(**get_kernel_dict())
    return None


def environment_first(program: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables with a program's own environment first on PATH.

    So `!python`, `!pip` and `!course` in a cell are those of the kernel, as after activating its
    environment, whether or not the run was started from an activated one.
    """
    folder = Path(program).parent  # as it is written: a venv's python is a link to another folder
    changed = dict(environment)
    if not folder.is_absolute():
        return changed
    others = [p for p in environment.get("PATH", os.defpath).split(os.pathsep) if p != str(folder)]
    changed["PATH"] = os.pathsep.join([str(folder), *others])
    changed.pop("VIRTUAL_ENV", None)
    if (folder.parent / "pyvenv.cfg").is_file():
        changed["VIRTUAL_ENV"] = str(folder.parent)
    return changed
