"""What docs/endpoint.md offers to run the endpoint with: linted, and true to the command."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from course_utils import kit
from course_utils.commands import serve

DEPLOY = kit.ROOT / "deploy"
HADOLINT = Path(sys.executable).with_name("hadolint")


@pytest.mark.skipif(not HADOLINT.is_file(), reason="pip install -r requirements-dev.txt")
def test_the_dockerfile_is_linted():
    done = subprocess.run([HADOLINT, DEPLOY / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd on this machine")
def test_the_unit_is_linted(tmp_path):
    text = (DEPLOY / "course-endpoint.service").read_text(encoding="utf-8")
    unit = tmp_path / "course-endpoint.service"
    unit.write_text(re.sub(r"/opt/\S+/course ", "/bin/true ", text), encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["Dockerfile", "course-endpoint.service"])
def test_options_named_there_exist(name):
    import typer

    from course_utils.commands.main import command_line

    text = (DEPLOY / name).read_text(encoding="utf-8")
    start = next(line for line in text.splitlines() if line.startswith(("ENTRYPOINT", "ExecStart")))
    known = {
        option
        for parameter in typer.main.get_command(command_line()).commands["serve"].params
        for option in parameter.opts
    }
    named = set(re.findall(r"--[a-z][a-z-]+", start))
    assert named
    assert named <= known


def test_the_container_takes_the_key_where_the_command_reads_it():
    assert serve.KEY_VARIABLE in (DEPLOY / "Dockerfile").read_text(encoding="utf-8")


def test_what_the_dockerfile_copies_is_there():
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    copied = [word for line in re.findall(r"^COPY (.*) /kit", text, re.M) for word in line.split()]
    assert copied
    assert [name for name in copied if not (kit.ROOT / name).exists()] == []
