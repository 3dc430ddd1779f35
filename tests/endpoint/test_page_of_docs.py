"""docs/endpoint.md is what the server says of itself, and its examples run."""

import re
import subprocess
import sys

import pytest

from course_utils import kit

PAGE = kit.ROOT / "docs" / "endpoint.md"
TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.S)
ADDRESS = "http://127.0.0.1:8000"


def test_the_page_is_what_its_template_and_the_server_say(serving):
    from course_utils.endpoint import reference

    assert reference.page() == TEXT, "run python -m course_utils.endpoint.reference"


def test_the_command_is_answered(server):
    [command] = re.findall(r"```sh\n(.*?)```", TEXT, re.S)
    assert ADDRESS in command
    words = ["bash", "-c", command.replace(ADDRESS, server.url)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert '"finish_reason":"length"' in done.stdout


@pytest.mark.parametrize("number", range(3))
def test_an_example_runs_and_prints(server, number):
    assert len(EXAMPLES) == 3
    assert ADDRESS in EXAMPLES[number]
    code = EXAMPLES[number].replace(ADDRESS, server.url)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    # A random model may not come to the end of a record; then the example rightly prints nothing.
    assert done.stdout or "json_schema" in code
