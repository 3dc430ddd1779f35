"""`course lab`: open the parameter lab in the browser, or write it as one HTML page.

course lab                       # Voila if it is installed, else JupyterLab
course lab --static lab.html     # executed, with pictures in place of sliders
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from course_utils import kit, ownership
from course_utils.errors import CourseError, UsageError
from course_utils.execution.kernels import environment_first
from course_utils.files import atomic_path, write_json_atomic, write_text_atomic
from course_utils.lab.page import ONLY_WITH_CODE, execute, page_of
from course_utils.runs import find_root

NOTEBOOK = "parameter_lab.ipynb"
START_SECONDS = 60  # a server that does not answer until then has a problem
# Buttons for JupyterLab and Notebook, which in Voila only raise errors.
NOT_FOR_VOILA = ("@jupyter/nbgrader", "@jupyter-notebook/lab-extension")
NOT_FOR_STUDENTS = "@jupyter/nbgrader"  # its "Create Assignment" and "Validate"
INSTALL = "pip install -r requirements-lab.txt (or: pip install voila)"


def mount(app: typer.Typer) -> None:
    """Add the command to `course`."""
    app.command("lab", epilog="Examples:\n\ncourse lab\n\ncourse lab --static lab.html")(lab)


def lab(
    voila: Annotated[
        bool, typer.Option("--voila", help="Only sliders and text, no code (Voila).")
    ] = False,
    jupyter: Annotated[
        bool, typer.Option("--jupyter", help="The notebook itself, to change it (JupyterLab).")
    ] = False,
    port: Annotated[
        int, typer.Option(help="Port on this machine; 0: a free one.", min=0, max=65535)
    ] = 0,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Only print the address.")
    ] = False,
    static: Annotated[
        Path | None,
        typer.Option(metavar="OUT.html", help="Write a page with pictures, start no server."),
    ] = None,
) -> None:
    """Open the parameter lab: 13 parameters, sliders over recorded runs. Ctrl-C ends it."""
    if voila and jupyter:
        raise UsageError("--voila and --jupyter were both given", "give one of them")
    if static and (voila or jupyter):
        raise UsageError("--static starts no server", "leave out --voila and --jupyter")
    if static:
        print(f"Lab: {write_static(static.expanduser())}")
        return
    program = choose("voila" if voila else "jupyter" if jupyter else "")
    copy = own_copy()
    print(f"Notebook: {copy} (your copy; delete it to begin anew)")
    serve(program, copy, port or free_port(), open_browser=not no_browser)


def choose(wanted: str = "") -> str:
    """ "voila" or "jupyter": the wanted one, else the first that is installed.

    Raises CourseError when it is not installed.
    """
    modules = {"voila": "voila", "jupyter": "jupyterlab"}
    names = [wanted] if wanted else list(modules)
    for name in names:
        if find_spec(modules[name]):
            return name
    missing = " and ".join(modules[name] for name in names)
    raise CourseError(f"{missing}: not installed", INSTALL)


def lab_notebook() -> Path:
    """The kit's own notebook; CourseError where the package was installed without it."""
    source = kit.NOTEBOOKS / NOTEBOOK
    if not source.is_file():
        raise CourseError(f"{source}: not there", "install the kit from its folder (git clone)")
    return source


def own_copy(folder: Path | None = None) -> Path:
    """The student's copy of the notebook in runs/lab; an older copy stays as it is.

    Raises CourseError where the kit's notebooks are not.
    """
    source = lab_notebook()
    copy = (folder or find_root() / "runs" / "lab") / NOTEBOOK
    if not copy.exists():
        with atomic_path(copy) as temporary:
            shutil.copyfile(source, temporary)
    return copy


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def command_of(program: str, notebook: Path, port: int) -> list[str]:
    """The server's command line; the token comes in the environment, where `ps` shows it to none.

    Both listen on this machine only.
    """
    if program == "voila":
        words = ["voila", str(notebook), "--no-browser", f"--port={port}"]
        words += ["--Voila.ip=127.0.0.1", "--Voila.auto_token=True"]
        words += [f"--VoilaConfiguration.extension_denylist={list(NOT_FOR_VOILA)}"]
        words += [f"--TagRemovePreprocessor.remove_cell_tags={ONLY_WITH_CODE}"]
        return [sys.executable, "-m", *words]
    words = ["jupyterlab", str(notebook), "--no-browser", f"--ServerApp.port={port}"]
    words += ["--ServerApp.ip=127.0.0.1", "--ServerApp.port_retries=0"]
    words += [f"--ServerApp.root_dir={notebook.parent}"]
    words += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    words += ["--LabApp.news_url=None"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # a container: the server would refuse
        words.append("--allow-root")
    return [sys.executable, "-m", *words]


def address_of(program: str, notebook: Path, port: int, token: str) -> str:
    """Where the browser finds the lab."""
    page = "" if program == "voila" else f"lab/tree/{notebook.name}"
    return f"http://127.0.0.1:{port}/{page}?token={token}"


def environment_of(token: str, settings: Path | None = None) -> dict[str, str]:
    """The server's variables, and its kernels': they find the kit and their own programs.

    `settings`: a folder of Jupyter's configuration that comes before the user's own.
    """
    variables = environment_first(sys.executable, os.environ) | {"JUPYTER_TOKEN": token}
    for name, first in (("PYTHONPATH", kit.ROOT), ("JUPYTER_CONFIG_PATH", settings)):
        paths = [str(first) if first else "", os.environ.get(name, "")]
        variables[name] = os.pathsep.join(filter(None, paths))
    return variables


def settings_beside(notebook: Path) -> Path:
    """A folder with what JupyterLab should leave out, beside the notebook."""
    folder = notebook.parent / "jupyter"
    disabled = {"disabledExtensions": {NOT_FOR_STUDENTS: True}}
    write_json_atomic(folder / "labconfig" / "page_config.json", disabled)
    return folder


@contextlib.contextmanager
def server(program: str, notebook: Path, port: int) -> Iterator[tuple[str, subprocess.Popen]]:
    """A running server: its address and process; it ends with the block.

    Raises CourseError when it does not come up, with the end of what it said.
    """
    token = secrets.token_urlsafe(18)
    log_path = notebook.parent / f"{program}.log"
    environment = environment_of(token, settings_beside(notebook))
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command_of(program, notebook, port),
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=notebook.parent,
            env=environment,
            start_new_session=True,  # Ctrl-C is for us: the server would ask whether it is meant
        )
        try:
            _wait_until_up(process, port, log_path)
            yield address_of(program, notebook, port, token), process
        finally:
            _end(process)


def _wait_until_up(process: subprocess.Popen, port: int, log_path: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            said = log_path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            last = said[-1].strip() if said else "it said nothing"
            raise CourseError(
                f"the server ended at once: {last}", f"read {log_path}, or choose another --port"
            )
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.2)
    raise CourseError(f"the server did not answer within {START_SECONDS} s", f"read {log_path}")


def _end(process: subprocess.Popen) -> None:
    """Stop the server and its kernels; kill it when it does not listen."""
    process.terminate()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def serve(program: str, notebook: Path, port: int, open_browser: bool) -> None:
    """Run the server until Ctrl-C."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        with server(program, notebook, port) as (address, process):
            print(f"Lab: {address}", flush=True)
            print("Ctrl-C ends it.", flush=True)
            if open_browser:
                import webbrowser

                webbrowser.open(address)
            process.wait()
        raise CourseError("the server has ended", f"read {notebook.parent / (program + '.log')}")
    except KeyboardInterrupt:
        print("\nThe lab is closed.")
    finally:
        signal.signal(signal.SIGTERM, before)


def write_static(out: Path) -> Path:
    """Execute the notebook and write it as one HTML page, with pictures in place of sliders."""
    if not find_spec("nbconvert"):
        raise CourseError("nbconvert is not installed", INSTALL)
    ownership.check_file(out, "name another file, or remove that one")
    executed = execute(lab_notebook(), find_root() / "runs" / "lab" / "static")
    return write_text_atomic(out, f"{page_of(executed)}\n<!-- {ownership.MAKER} -->\n")
