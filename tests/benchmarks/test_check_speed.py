"""The benchmark of `course data check` measures right files, whose prompts share a sentence."""

import subprocess
import sys

from course_utils import kit
from course_utils.files import read_json


def test_the_benchmark_checks_real_work_orders_and_writes_its_figures(prepared, tmp_path):
    out = tmp_path / "check.json"
    script = kit.ROOT / "benchmarks" / "check_speed.py"
    done = subprocess.run(
        [sys.executable, script, "--sizes", "80", "--out", out],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "80 records that follow the manufacturing schema, 0 errors" in done.stdout
    (row,) = read_json(out)["rows"]
    assert row["records"] == 80
    assert row["no_near_processor_seconds"] > 0
    assert done.stdout.strip().endswith(str(out))
