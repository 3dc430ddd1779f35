"""How long the parameter lab takes to redraw, and to show its first figure.

    python benchmarks/lab_redraw.py               # half a minute; a table and the medians
    python benchmarks/lab_redraw.py --out lab.json

A redraw is all that a moved slider sets off in its own section: arithmetic, figure, marker in the
recorded runs, warnings and words. Wall time counts; processor time stands beside it, because on a
busy machine the wall time is not the lab's.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # works from a plain clone, installed or not

from course_utils import hardware  # noqa: E402
from course_utils.files import write_json_atomic  # noqa: E402
from course_utils.lab import explore, parameters  # noqa: E402
from course_utils.runs import versions  # noqa: E402

LIMIT_MS, FIRST_LIMIT_S = 100, 5
# What the notebook's import cell and its first section do, in a fresh Python.
FIRST = """
import time
start = time.perf_counter()
from course_utils import explore
lab = explore.Lab(static=False)
explore._display = lambda bundle: None
lab.panel("learning_rate")
print(time.perf_counter() - start)
"""


def measure(lab: explore.Lab, section: str, repeats: int) -> dict[str, float]:
    """Median wall and processor milliseconds of a redraw, over the stops of the own slider."""
    stops = parameters.PARAMETERS[section].values
    panel = lab.panels[section]
    wall, processor = [], []
    for number in range(repeats):
        lab.state[section] = stops[number % len(stops)]
        started, used = time.perf_counter(), time.process_time()
        panel.redraw()
        wall.append(1000 * (time.perf_counter() - started))
        processor.append(1000 * (time.process_time() - used))
    return {"wall_ms": statistics.median(wall), "processor_ms": statistics.median(processor)}


def first_figure(times: int = 3) -> float:
    """Seconds from the import to the first figure: the median of fresh processes."""
    found = []
    for _ in range(times):
        done = subprocess.run(
            [sys.executable, "-c", FIRST], cwd=ROOT, capture_output=True, text=True, check=True
        )
        found.append(float(done.stdout.split()[-1]))
    return statistics.median(found)


def main() -> int:
    """Measure, print the table, return 1 when a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=12, help="redraws of each section")
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    options = parser.parse_args()
    explore._display = lambda bundle: None
    lab = explore.Lab(static=False)
    for section in parameters.PARAMETERS:
        lab.panel(section)
    rows = {section: measure(lab, section, options.repeats) for section in parameters.PARAMETERS}
    print(f"{'section':30} {'wall ms':>8} {'processor ms':>13}")
    for section, row in rows.items():
        print(f"{section:30} {row['wall_ms']:8.0f} {row['processor_ms']:13.0f}")
    median = statistics.median(row["wall_ms"] for row in rows.values())
    processor = statistics.median(row["processor_ms"] for row in rows.values())
    first = first_figure()
    load = os.getloadavg()[0]
    print(f"median of the 13 sections: {median:.0f} ms (processor {processor:.0f} ms)")
    print(f"first figure after the import: {first:.1f} s; load of the machine: {load:.1f}")
    if options.out:
        result = {"sections": rows, "median_wall_ms": median, "median_processor_ms": processor}
        result |= {"first_figure_s": first, "load": load, "versions": versions()}
        write_json_atomic(options.out, result | {"hardware": hardware.detect().to_dict()})
        print(f"Figures: {options.out}")
    return int(median > LIMIT_MS or first > FIRST_LIMIT_S)


if __name__ == "__main__":
    sys.exit(main())
