"""`course serve`: an option that would do nothing is refused, not passed over in silence."""

import pytest
from typer.testing import CliRunner

from course_utils.commands.main import command_line
from course_utils.errors import UsageError

pytest.importorskip("fastapi_offline", reason="pip install -r requirements-serve.txt")
UPSTREAM = ("--upstream", "http://127.0.0.1:9")
PYTORCH = ("nowhere", "--engine", "transformers")


def served(*words) -> Exception | None:
    """How the command ends; it never comes to serve anything here."""
    return CliRunner().invoke(command_line(), ["serve", *words]).exception


@pytest.mark.parametrize(
    ("where", "option"),
    [
        (UPSTREAM, ("--engine", "llamacpp")),
        (UPSTREAM, ("--format", "f16")),
        (UPSTREAM, ("--merged",)),
        (UPSTREAM, ("--base", "nano")),
        (UPSTREAM, ("--slots", "8")),  # the default, but given
        (UPSTREAM, ("--context", "512")),
        (UPSTREAM, ("--threads", "1")),
        (PYTORCH, ("--format", "q8_0")),
        (PYTORCH, ("--merged",)),
        (PYTORCH, ("--slots", "2")),
        (PYTORCH, ("--context", "512")),
        (PYTORCH, ("--threads", "1")),
        (("nowhere", "--engine", "vllm"), ("--format", "f16")),
        (("nowhere", "--engine", "vllm"), ("--merged",)),
        (("nowhere", "--engine", "vllm"), ("--threads", "1")),
        (("nowhere", "--uds", "s"), ("--port", "8000")),
        (("nowhere", "--uds", "s"), ("--host", "127.0.0.1")),
        (("nowhere",), ("--upstream-key-file", "key.txt")),
    ],
    ids=str,
)
def test_an_option_that_does_nothing_there_is_named(where, option):
    error = served(*where, *option)
    assert isinstance(error, UsageError)
    assert error.message.startswith(f"{option[0]}: ")
    assert option[0] in error.cure


@pytest.mark.parametrize(
    "words",
    [
        ("nowhere", "--engine", "transformers", "--base", "nano", "--queue", "3", "--port", "0"),
        ("nowhere", "--engine", "llamacpp", "--format", "f16", "--merged", "--slots", "2"),
        ("nowhere", "--engine", "vllm", "--slots", "2", "--context", "512"),
        ("nowhere", "--format", "f16", "--slots", "2", "--context", "512", "--threads", "1"),
    ],
    ids=str,
)
def test_an_option_that_does_something_is_taken(words):
    """As far as the folder, which is not there."""
    assert "there is no such folder" in str(served(*words))


def test_a_server_behind_takes_its_key_and_where_to_listen(tmp_path):
    (tmp_path / "key").write_text("", encoding="utf-8")
    words = ("--upstream-key-file", str(tmp_path / "key"), "--port", "0", "--queue", "3")
    assert "the file is empty" in str(served(*UPSTREAM, *words))  # so it was read
