"""`course lab`: what its server and kernels are given."""

import os
import subprocess
import sys
from pathlib import Path

from course_utils.commands import lab


def test_programs_of_a_cell_in_the_lab_are_those_of_its_kernel(monkeypatch):
    monkeypatch.setenv("PATH", os.defpath)
    code = "import sys, course_utils; print(sys.prefix)"
    said = subprocess.run(
        ["sh", "-c", f"which python; python -c '{code}'"],
        env=lab.environment_of("secret"),
        capture_output=True,
        text=True,
        check=True,
    )
    program, prefix = said.stdout.split()
    assert Path(program).parent == Path(sys.executable).parent
    assert prefix == sys.prefix
