"""How long `course data check` takes on real work orders whose prompts share a task sentence.

    python benchmarks/check_speed.py                    # under a minute; a table of seconds
    python benchmarks/check_speed.py --sizes 1000 20000 --out check.json

The work orders are the 3,900 different ones of the manufacturing track; a larger file joins two of
them in a record. The task sentence stands before each, as where an instruction holds all. Each
check is a process of its own, on one core, and the seconds include its start. Processor seconds
stand beside the wall time, because on a busy machine the wall time is not the check's.
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


def seconds(path: Path, *options: str) -> tuple[float, float, str]:
    """Wall and processor seconds of one check, and the line with its verdict."""
    started, used = time.perf_counter(), processor_seconds()
    done = subprocess.run(
        [sys.executable, "-m", "course_utils", "data", "check", str(path), *options],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "error" not in done.stdout:
        sys.exit(done.stderr)
    verdict = done.stdout.partition("\n")[0].partition(": ")[2]
    return time.perf_counter() - started, processor_seconds() - used, verdict


def processor_seconds() -> float:
    """Processor seconds of the finished child processes: what a busy machine does not change."""
    times = os.times()
    return times.children_user + times.children_system


def main() -> int:
    """Measure, print the table; 1 when 10,000 records take longer than the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="records in a file")
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    options = parser.parse_args()
    rows = []
    print(f"{'records':>8} {'seconds':>8} {'processor':>10} {'--no-near':>10}   verdict")
    with tempfile.TemporaryDirectory() as folder:
        for size in options.sizes:
            path = write_records(Path(folder) / f"{size}.jsonl", work_orders(size))
            taken, used, verdict = seconds(path)
            _, without, _ = seconds(path, "--no-near")
            row = {"records": size, "seconds": taken, "processor_seconds": used}
            rows.append(row | {"no_near_processor_seconds": without})
            print(f"{size:8,} {taken:8.1f} {used:10.1f} {without:10.1f}   {verdict}", flush=True)
    load = os.getloadavg()[0]
    print(f"one core; load of the machine: {load:.1f}")
    if options.out:
        result = {"rows": rows, "load": load, "versions": versions()}
        write_json_atomic(options.out, result | {"hardware": hardware.detect().to_dict()})
        print(f"Figures: {options.out}")
    return int(any(r["records"] == 10_000 and r["seconds"] > LIMIT_S for r in rows))


if __name__ == "__main__":
    sys.exit(main())
