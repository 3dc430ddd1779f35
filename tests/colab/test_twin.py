"""The twin's command line; the twin itself needs the network and runs by `make colab-twin`."""

import importlib.util
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location("twin", Path(__file__).with_name("twin.py"))


@pytest.fixture(scope="module")
def twin():
    module = importlib.util.module_from_spec(SPEC)
    SPEC.loader.exec_module(module)
    return module


def test_a_name_that_no_notebook_holds_is_refused_before_anything_is_emptied(
    twin, tmp_path, capsys
):
    kept = tmp_path / "report.md"
    kept.write_text("an earlier report")
    with pytest.raises(SystemExit) as ended:
        twin.main(["python3.13", str(tmp_path), "--only", "9_nothing"])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert "--only 9_nothing: no notebook's name holds this; choose among 01_data_prep" in said
    assert "parameter_lab" in said
    assert kept.read_text() == "an earlier report"
