"""How long `course data check` takes on real work orders whose prompts share a task sentence.

    python benchmarks/check_speed.py                    # under a minute; a table of seconds
    python benchmarks/check_speed.py --sizes 1000 20000 --out check.json

The work orders are the 3,900 different ones of the manufacturing track; a larger file joins two of
them in a record. The task sentence stands before each, as where an instruction holds all. Each
check is a process of its own, on one core; the seconds include its start.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # works from a plain clone, installed or not

from course_utils import hardware, sources  # noqa: E402
from course_utils.files import write_json_atomic  # noqa: E402
from course_utils.records import write_records  # noqa: E402
from course_utils.runs import versions  # noqa: E402

SIZES = (1000, 2000, 5000, 10_000)
LIMIT_S = 20  # for 10,000 records
TASK = (
    "You are an experienced maintenance planner. Turn the work order into JSON with the fields "
    "system, part, action, failure_mode and location. Write only what is stated. Work order:"
)


def work_orders(count: int) -> list[dict[str, str]]:
    """`count` different records: real texts, joined in pairs where there are not enough."""
    real = sources.clean_work_orders(sources.load_work_orders()).records
    draw = random.Random(0)
    made = {
        record["input"]: record["output"] for record in draw.sample(real, min(count, len(real)))
    }
    while len(made) < count:
        first, second = draw.sample(real, 2)
        text = f"{first['input']}; {second['input']}"
        made[text] = json.dumps([json.loads(r["output"]) for r in (first, second)])
    return [
        {"instruction": f"{TASK} {text}", "input": "", "output": answer}
        for text, answer in made.items()
    ]


def seconds(path: Path, *options: str) -> tuple[float, str]:
    """Wall seconds of one check, and the line with its verdict."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "course_utils", "data", "check", str(path), *options],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "error" not in done.stdout:
        sys.exit(done.stderr)
    return time.perf_counter() - started, done.stdout.partition("\n")[0].partition(": ")[2]


def main() -> int:
    """Measure, print the table; 1 when 10,000 records take longer than the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="records in a file")
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    options = parser.parse_args()
    rows = []
    print(f"{'records':>8} {'seconds':>8} {'--no-near':>10}   verdict")
    with tempfile.TemporaryDirectory() as folder:
        for size in options.sizes:
            path = write_records(Path(folder) / f"{size}.jsonl", work_orders(size))
            taken, verdict = seconds(path)
            without, _ = seconds(path, "--no-near")
            rows.append({"records": size, "seconds": taken, "no_near_seconds": without})
            print(f"{size:8,} {taken:8.1f} {without:10.1f}   {verdict}", flush=True)
    load = os.getloadavg()[0]
    print(f"one core; load of the machine: {load:.1f}")
    if options.out:
        result = {"rows": rows, "load": load, "versions": versions()}
        write_json_atomic(options.out, result | {"hardware": hardware.detect().to_dict()})
        print(f"Figures: {options.out}")
    return int(any(r["records"] == 10_000 and r["seconds"] > LIMIT_S for r in rows))


if __name__ == "__main__":
    sys.exit(main())
