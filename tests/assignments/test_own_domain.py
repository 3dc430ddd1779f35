"""Weeks 9-10 in another domain, by editing assignment.yaml and configs/lora_config.yaml alone.

A copy of the kit asks for brewing records; the reference solution's scripts are run on them, the
submission is checked and graded, on nano. Scores of a random model mean nothing; the code path is
the real one.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from sandboxes import level_or_skip
from submissions import without_marks

from course_utils import kit
from course_utils.records import write_records

pytestmark = pytest.mark.long

PAGE = (kit.ROOT / "docs" / "your_own_track.md").read_text(encoding="utf-8")
FOLDERS = ("assignments", "course_utils", "notebooks")
WEEKS = "assignments/week09_10_manufacturing"
NANO = {
    "base_model": "nano",
    "precision": "fp32",
    "few_shot_examples": 1,
    "evaluations": 2,
    "r": 4,
}
LOG = "Brew log line to JSON, only what is stated."
NAME = "Answer with the name only, as the text writes it."


def log(text: str, **fields: str) -> dict[str, str]:
    return {
        "task": "understanding",
        "instruction": LOG,
        "input": text,
        "output": json.dumps(fields),
    }


def question(asked: str, text: str, answer: str, other: str) -> dict[str, str]:
    return {
        "task": "qa",
        "form": "name only",
        "instruction": f"{asked} {NAME}",
        "input": text,
        "output": answer,
        "facts": f"answer={answer} | {other}",
    }


SAMPLES = [
    log("Whirlpool cone spilled over, trub in the wort", stage="whirlpool", problem="trub"),
    log("labeller puts labels on askew, re-aligned it", stage="packaging", vessel="labeller"),
    question("What is kilned longer?", "Munich malt is kilned longer than pilsner malt, so it is "
             "darker.", "Munich malt", "pilsner malt"),
    question("What floats?", "Lager yeast sinks when it is done, ale yeast floats for a while.",
             "ale yeast", "lager yeast"),
]  # fmt: skip
HIDDEN = [
    log("FV7 airlock dry, filled it up", stage="fermentation", vessel="fermenter 7"),
    log("grist case bridged, knocked it loose", stage="milling", problem="bridging"),
    question("Which is the sweeter one?", "Dextrins are hardly sweet, maltose is.", "maltose",
             "dextrins"),
    question("What is the older measure?", "Balling made his tables in 1843, Plato improved them "
             "later.", "Balling", "Plato"),
]  # fmt: skip


def block(language: str, holding: str) -> str:
    """The fenced block of the page that holds a word."""
    found = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return next(text for text in found if holding in text)


class Kit:
    """A copy of the kit, edited as an instructor would."""

    def __init__(self, root: Path):
        self.root = root
        skip = shutil.ignore_patterns("__pycache__", "run", ".course-kit.json.*")
        for name in FOLDERS:
            shutil.copytree(kit.ROOT / name, root / name, ignore=skip)
        for name in ("data", "docs"):
            os.symlink(kit.ROOT / name, root / name)
        for path in [kit.ROOT / "pyproject.toml", *kit.ROOT.glob("*.txt")]:
            shutil.copy(path, root / path.name)
        self.edit_assignment()

    def edit_assignment(self) -> None:
        path = self.root / WEEKS / "assignment.yaml"
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        content |= yaml.safe_load(block("yaml", "thresholds"))
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    def run(self, *words: str) -> str:
        places = [str(self.root), os.environ.get("PYTHONPATH", "")]
        environment = os.environ | {"COURSE_THREADS": "1", "PYTHONPATH": os.pathsep.join(places)}
        done = subprocess.run(
            [sys.executable, *words], capture_output=True, text=True, env=environment, cwd=self.root
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout


@pytest.fixture(scope="module")
def brewery(tmp_path_factory, prepared) -> Kit:
    return Kit(tmp_path_factory.mktemp("brewery") / "kit")


@pytest.fixture(scope="module")
def submission(brewery) -> Path:
    """The solution's scripts on the sixty records, with the page's configuration."""
    folder = brewery.root / "inbox" / "ada"
    skip = shutil.ignore_patterns("run", "data", "models", "reports")
    shutil.copytree(brewery.root / WEEKS / "solution", folder, ignore=skip)
    for path in [path for path in folder.rglob("*") if path.suffix in (".py", ".md", ".yaml")]:
        path.write_text(without_marks(path.read_text(encoding="utf-8")), encoding="utf-8")
    shutil.copy(kit.DATA / "examples" / "brewing.jsonl", folder)
    config = yaml.safe_load(block("yaml", "records: brewing.jsonl")) | NANO
    (folder / "configs/lora_config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    samples = yaml.safe_dump({"samples": SAMPLES}, allow_unicode=True)
    (folder / "configs/new_samples.yaml").write_text(samples, encoding="utf-8")
    for name in ("prepare_data.py", "train.py", "evaluate.py"):
        brewery.run(str(folder / "scripts" / name))
    brewery.run(str(folder / "scripts" / "serve.py"), "--measure")
    return folder


def finding(report: dict, name: str) -> dict:
    return next(one for one in report["findings"] if one["id"] == name)


def test_the_scripts_work_on_the_tasks_that_are_asked_for(submission):
    evaluation = json.loads((submission / "run/evaluation.json").read_text(encoding="utf-8"))
    assert set(evaluation["tasks"]) == {"understanding", "qa"}
    assert evaluation["tasks"]["qa"]["main"] == "fact_match"
    summary = json.loads((submission / "run/data_summary.json").read_text(encoding="utf-8"))
    assert (summary["track"], summary["kept"]) == ("brewing", 60)


def test_the_check_counts_by_assignment_yaml(brewery, submission):
    code = (
        "import sys; from course_utils.assignments.week09_10 import check_submission\n"
        "print('\\n'.join(check_submission(sys.argv[1]).lines()))"
    )
    said = brewery.run("-c", code, str(submission))
    assert "60 records, at least 60 are asked for" in said
    assert "understanding, qa in every part" in said
    assert "4 samples, none of them in data/" in said


@pytest.fixture(scope="module")
def graded(brewery, submission) -> dict:
    """result.json of the submission: item -> what was found."""
    level_or_skip("auto")
    grades = brewery.root / "grades"
    hidden = write_records(brewery.root / "my_hidden.jsonl", HIDDEN)
    words = ("--assignment", "manufacturing", "--out", str(grades), "--hidden", str(hidden))
    brewery.run("-m", "course_utils", "grade", str(submission.parent), *words)
    result = json.loads((grades / "ada" / "result.json").read_text(encoding="utf-8"))
    assert result["status"] == "graded"
    return {item["id"]: item for item in result["items"]}


@pytest.mark.parametrize(
    "item",
    ["data_size", "data_valid", "data_no_leak", "data_coverage", "config_valid", "adapter_loads",
     "scores_true", "baseline_scores", "samples_judged"],
)  # fmt: skip
def test_the_grader_gives_what_the_records_earn(graded, item):
    assert graded[item]["points"] == graded[item]["max"], graded[item]


@pytest.mark.parametrize("item", ["tuned_beats_base", "unseen_records"])
def test_only_the_asked_tasks_are_compared(graded, item):
    """What nano gains on them is nothing, as a rule: then the item is judged, and is 0 points."""
    assert graded[item]["points"] is not None, graded[item]
    told = " ".join(row["label"] for row in graded[item]["evidence"])
    assert "understanding" in told
    assert "qa" in told
    assert "report" not in told
