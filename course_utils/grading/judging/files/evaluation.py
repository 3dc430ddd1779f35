"""Weeks 9-10, parts 2 and 4: every score, computed again from the stored answers."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from course_utils import tasks
from course_utils.assignments import figures, writeup
from course_utils.assignments.definition import find
from course_utils.grading.judging import tolerances
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.files.common import (
    WEEK09_10,
    figure_evidence,
    finding,
    note_figures,
    note_stated,
    note_zeros,
    reading,
    unmet,
    visit_of,
)
from course_utils.grading.judging.files.data import readable_parts
from course_utils.grading.judging.judgement import Judgement, earned, failed
from course_utils.grading.judging.registry import check
from course_utils.grading.judging.saying import advise, say
from course_utils.grading.results import Evidence

BASELINE, EVALUATION = "run/baseline.json", "run/evaluation.json"
PAGES = {
    "reports/evaluation_results.md": writeup.evaluation_page,
    "reports/comparison_baseline.md": writeup.comparison_page,
}
GAIN_WORDS = {1.0: "above 0", 0.5: "the mean is above 0, the interval holds 0", 0.0: "no gain"}


@check(WEEK09_10)
def baseline_scores(case: Case) -> Judgement:
    """All points, where both prompts' scores follow from their answers to all test records."""
    if missing := unmet(case, "run.baseline") or not_evaluated(case):
        return missing
    content, systems = _stored(case)
    rows = len(content["predictions"])
    counts = {prompt: len(systems[prompt]["answers"]) for prompt in figures.PROMPTS}
    evidence = [
        Evidence(label=f"answers, {prompt}", found=f"{count:,} to {rows:,} test records")
        for prompt, count in counts.items()
    ]
    if not _all_answered(content, systems):
        return failed(*evidence, feedback=advise(say("week09_10.judged.not_all_answered")))
    with reading(case, BASELINE):
        found = list(figures.baseline_figures(content, systems))
    wrong = note_figures(case, found, BASELINE)
    evidence.append(Evidence(label="scores compared", found=f"{len(found)}, {len(wrong)} differ"))
    if wrong:
        differ = say("week09_10.judged.figures_differ", count=len(wrong))
        return failed(*evidence, *figure_evidence(wrong), feedback=advise(differ))
    return earned(case, 1, *evidence)


@check(WEEK09_10)
def scores_true(case: Case) -> Judgement:
    """All points, where every score in run/evaluation.json follows from the stored answers."""
    if missing := not_evaluated(case):
        return missing
    content, systems = _stored(case)
    others: list[str] = []
    with reading(case, EVALUATION):
        found = list(figures.evaluation_figures(content))
        if _all_answered(content, systems):  # else baseline_scores says so
            found += figures.repeated_figures(content, systems)
            others = [task for task in content["tasks"] if not _is_better(content, systems, task)]
        wrong = note_figures(case, found, EVALUATION)
        results = content["tasks"].items()
        main = [result["tuned"].get(tasks.MAIN_SCORE[task]) for task, result in results]
    note_zeros(case, main, EVALUATION)
    evidence = [Evidence(label="figures compared", found=f"{len(found)}, {len(wrong)} differ")]
    evidence += figure_evidence(wrong)
    for task in others:
        label = f"{task}: answers of the base model"
        evidence.append(Evidence(label=label, found=f"not those that {BASELINE} holds"))
        note_stated(case, f"{EVALUATION}: {label}", "the better prompt's", "others", False)
    if wrong or others:
        differ = say("week09_10.judged.figures_differ", count=len(wrong) + len(others))
        return failed(*evidence, feedback=advise(differ))
    return earned(case, 1, *evidence)


@check(WEEK09_10, needs=("baseline_reproduced", "answers_reproduced"))
def tuned_beats_base(case: Case) -> Judgement:
    """An equal share for each task whose interval lies above 0, half that for a mean above.

    It rests on stored answers, so nothing is judged where they were not the models' own.
    """
    if missing := unmet(case, "run.baseline") or not_evaluated(case):
        return missing
    content, systems = _stored(case)
    if not _all_answered(content, systems):
        return failed(feedback=advise(say("week09_10.judged.not_all_answered")))
    evidence, gains = [], []
    wanted = find(case.assignment).thresholds.tasks
    with reading(case, EVALUATION):
        for task in wanted:
            gain, row = _gain(case, content, systems, task)
            gains.append(gain)
            evidence.append(row)
    lost = [task for task, gain in zip(wanted, gains, strict=True) if gain < 1]
    share = sum(gains) / len(gains)
    problems = [say("week09_10.judged.no_gain", tasks=", ".join(lost))] if lost else []
    return earned(case, share, *evidence, feedback=advise(*problems))


@check(WEEK09_10)
def reports_true(case: Case) -> Judgement:
    """All points for two pages as they are written again; half where only words differ."""
    if missing := not_evaluated(case):
        return missing
    content = visit_of(case).evaluation
    evidence, figures_differ, words_differ = [], [], []
    for name, write in PAGES.items():
        if name not in case.folder.files or case.folder.size_problem(name):
            absent = say("week09_10.judged.page", "absent", names=name)
            return failed(Evidence(label=name, found=absent.found), feedback=advise(absent))
        with reading(case, EVALUATION):
            told, right, words = _differences(case.folder.text(name), write(content))
        if right:  # a line with figures that the run gives is not there
            figures_differ.append(name)
            row = Evidence(label=name, found=right or "no such line", stated=told or "no such line")
            note_stated(case, f"{name}: first line that differs", told, right, False)
        else:
            note_stated(case, f"{name}: lines with figures", "as written", "as written")
            row = Evidence(label=name, found="words differ" if words else "as it is written again")
            words_differ += [name] if words else []
        evidence.append(row)
    if figures_differ:
        differ = say("week09_10.judged.page", "figures", names=", ".join(figures_differ))
        return failed(*evidence, feedback=advise(differ))
    if words_differ:
        differ = say("week09_10.judged.page", "words", names=", ".join(words_differ))
        return earned(case, 0.5, *evidence, feedback=advise(differ))
    return earned(case, 1, *evidence)


# --- Reading ------------------------------------------------------------------------------------


def not_evaluated(case: Case) -> Judgement | None:
    """No points, where run/evaluation.json can not be judged; a broken line elsewhere is no matter.

    Its records are looked up in data/test.jsonl, as far as that can be read.
    """
    parts = visit_of(case).parts
    if "test" not in parts:
        report = readable_parts(case).get("test")
        if report is None or not report.records:
            return unmet(case, "data.test")
        parts["test"] = [record for _, record in report.records]
    return unmet(case, "run.evaluation", met=("data.test",))


def _stored(case: Case) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """(run/evaluation.json, the systems of run/baseline.json or {} where it can not be read)."""
    finding(case, "run.baseline")
    return visit_of(case).evaluation, visit_of(case).baseline


def _all_answered(content: Mapping[str, Any], systems: Mapping[str, Any]) -> bool:
    """Whether both prompts of run/baseline.json have an answer to each prediction's record."""
    rows = len(content["predictions"])
    return all(len(systems.get(p, {}).get("answers", ())) == rows for p in figures.PROMPTS)


def _is_better(content: Mapping[str, Any], systems: Mapping[str, Any], task: str) -> bool:
    """Whether the base model's answers are those of the better prompt in run/baseline.json."""
    rows = content["predictions"]
    answers = systems[figures.better_prompt(content, systems, task)]["answers"]
    return all(row["base"] == answers[i] for i, row in enumerate(rows) if row["task"] == task)


def _gain(
    case: Case, content: Mapping[str, Any], systems: Mapping[str, Any], task: str
) -> tuple[float, Evidence]:
    """(share of the task's points, what was found) of tuned minus the better baseline."""
    name = tasks.NAMES[tasks.MAIN_SCORE[task]]
    label = f"{task}, difference of {name}"
    if task not in content["tasks"]:
        return 0.0, Evidence(label=label, found="no test record of this task")
    own = case.facts.get("reproduced", {}).get(task, 1.0)  # by answers_reproduced
    if own < tolerances.OWN:
        found = f"{own:.0%} of the stored answers that were asked again are the adapter's"
        return 0.0, Evidence(label=label, found=found)
    prompt = figures.better_prompt(content, systems, task)
    interval = figures.gain_over(content, systems[prompt], task)
    stated = content["tasks"][task]["difference"][tasks.MAIN_SCORE[task]]
    if interval is None:
        return 0.0, Evidence(label=label, found=writeup.NO_FACTS)
    share = 1.0 if interval["low"] > 0 else 0.5 if interval["mean"] > 0 else 0.0
    texts = [_interval(own) for own in (interval, stated)]
    note_stated(case, f"{EVALUATION}: {label} over the better prompt", texts[1], texts[0])
    note = f"over {writeup.SYSTEMS[prompt]}; {GAIN_WORDS[share]}"
    return share, Evidence(label=label, found=texts[0], stated=texts[1], note=note)


def _interval(own: Mapping[str, float] | None) -> str:
    if own is None:
        return "nothing"
    return f"{own['mean']:+.3f} [{own['low']:+.3f}, {own['high']:+.3f}]"


def _differences(own: str, right: str) -> tuple[str, str, bool]:
    """(first added line with figures, first lost one, whether any words differ)."""
    lines = Counter(line.rstrip() for line in own.split("\n"))
    expected = Counter(line.rstrip() for line in right.split("\n"))
    added, lost = lines - expected, expected - lines
    words = any(line for line in (added + lost))
    return _with_figures(added), _with_figures(lost), words


def _with_figures(lines: Counter[str]) -> str:
    """The first line of results: one with digits that is no example (those are indented)."""
    found = (line for line in lines if re.search(r"\d", line) and not line.startswith("    "))
    return next(found, "")
