"""A whole class: every submission judged, each on its own, and the pages written.

    outcome = grade_class("inbox", plan, console, resume=True)

Threads wait, sandboxed processes work: this one holds no model and runs nothing of a student. Each
result is on the disk, and in the journal, before the next one begins; so `kill -9`, a full disk or
Ctrl-C lose only what runs at that moment.
"""

import queue
import shutil
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from course_utils import __version__
from course_utils.errors import CourseError, UsageError
from course_utils.grading import publishing
from course_utils.grading.cluster import Cluster
from course_utils.grading.displays import PlainDisplay, display_for
from course_utils.grading.hidden import keep_own
from course_utils.grading.inbox import Submission, find_submissions
from course_utils.grading.journal import Journal, done_before
from course_utils.grading.judging.judge import check_rubric
from course_utils.grading.remote import judged_there
from course_utils.grading.results import RESULT, Result, read_result, rubric_fingerprint
from course_utils.grading.single import grade_one, keep, key_of
from course_utils.grading.workshop import Plan, Workshop, popular_base

TICK = 0.25  # seconds between two looks at what ended


@dataclass(frozen=True)
class Task:
    """A submission that has to be graded, and what its result depends on; "" if nobody can tell."""

    submission: Submission
    key: str


@dataclass(frozen=True)
class Outcome:
    """What a batch did: the results of this run, and how many were there before."""

    results: list[Result]
    before: int


def chosen(submissions: Sequence[Submission], only: Sequence[str]) -> list[Submission]:
    """Those whose folder's name, or own name, begins as one of `only`; all without it."""
    starts = tuple(only)
    picked = [s for s in submissions if not only or s.slug.startswith(starts) or s.name in starts]
    if not picked:
        known = ", ".join(s.slug for s in submissions[:20])
        more = f" and {len(submissions) - 20} more" if len(submissions) > 20 else ""
        raise UsageError(
            f"--only {' '.join(only)}: no submission begins so", f"there are: {known}{more}"
        )
    return picked


def grade_class(
    inbox: Path,
    plan: Plan,
    console: Any,
    resume: bool = False,
    only: Sequence[str] = (),
    cluster: Cluster | None = None,
    hidden: Path | None = None,
) -> Outcome:
    """Grade every submission of an inbox into `plan.grades`; the pages are `publish`'s.

    With a cluster its workers judge, and `plan.jobs` does not count. `hidden`: the instructor's own
    hidden records, taken into the grades once no other batch runs there.

    Raises CourseError for what concerns them all (the inbox, the rubric, a full disk), and
    KeyboardInterrupt; what was finished until then is kept and `resume` goes on with it.
    """
    check_rubric(plan.rubric)
    submissions = chosen(find_submissions(inbox), only)
    publishing.claim(plan.grades, plan.assignment)
    plan = replace(plan, base=plan.base or popular_base(submissions))
    with Journal(plan.grades) as journal, _workshop(plan, hidden) as shop:
        tasks = [_task(own, shop.setting) for own in submissions]
        waiting = _unfinished(plan.grades, tasks) if resume else tasks
        _begin(journal, plan, len(waiting), console, shop)
        with display_for(console, len(tasks), len(tasks) - len(waiting)) as display:
            crew = Crew(waiting, shop, journal, display, cluster)
            results = crew.run(cluster.slots if cluster else plan.jobs)
        journal.write("end", submissions=len(tasks))
    return Outcome(results, len(tasks) - len(waiting))


def _workshop(plan: Plan, hidden: Path | None) -> Workshop:
    if hidden:
        keep_own(hidden, plan.grades)
    return Workshop(plan)


def _begin(journal: Journal, plan: Plan, count: int, console: Any, shop: Workshop) -> None:
    warm = "warm" if shop.box.warm else f"fresh ({shop.box.warm_problem})"
    journal.write(
        "batch",
        assignment=plan.assignment,
        submissions=count,
        kit=__version__,
        rubric=rubric_fingerprint(plan.rubric),
        sandbox=plan.level,
        jobs=plan.jobs,
        start=warm,
    )
    told = f" in {shop.told['seconds']:.0f} s" if shop.told else ""
    many = "one at a time, for the GPU" if shop.box.devices else f"{plan.jobs} at a time"
    text = f"processes start {warm}{told}; {many}"
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _task(submission: Submission, setting: str) -> Task:
    """One whose files can't be read is no reason to grade nobody: its own grading says why."""
    try:
        return Task(submission, key_of(submission, setting))
    except Exception:
        return Task(submission, "")


def _unfinished(grades: Path, tasks: Iterable[Task]) -> list[Task]:
    """Tasks without a finished result under the same key."""
    done = done_before(grades)
    return [task for task in tasks if not _is_done(grades, task, done)]


def _is_done(grades: Path, task: Task, done: dict[str, str]) -> bool:
    folder = grades / task.submission.slug
    if (
        not task.key
        or done.get(task.submission.slug) != task.key
        or not (folder / RESULT).is_file()
    ):
        return False
    try:
        read_result(folder)
    except CourseError:
        return False
    return True


class Crew:
    """Threads that take submissions one by one; the first trouble that concerns all ends it."""

    def __init__(
        self,
        tasks: Sequence[Task],
        shop: Workshop,
        journal: Journal,
        display: PlainDisplay,
        cluster: Cluster | None = None,
    ) -> None:
        self.tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
        for task in tasks:
            self.tasks.put(task)
        self.count = len(tasks)
        self.shop, self.journal, self.display = shop, journal, display
        self.cluster = cluster
        self.ended: queue.SimpleQueue[Result | BaseException] = queue.SimpleQueue()
        self.stopped = threading.Event()

    def run(self, jobs: int) -> list[Result]:
        """All results, by submission. The threads are daemons: whoever is interrupted can go."""
        for number in range(min(jobs, self.count)):
            threading.Thread(target=self._work, name=f"grader-{number}", daemon=True).start()
        results: list[Result] = []
        try:
            while len(results) < self.count:
                try:
                    found = self.ended.get(timeout=TICK)
                except queue.Empty:
                    self.display.tick()
                    continue
                if isinstance(found, BaseException):
                    raise found
                results.append(found)
        finally:
            self.stopped.set()
        return sorted(results, key=lambda result: result.submission)

    def _work(self) -> None:
        try:
            while not self.stopped.is_set():
                try:
                    task = self.tasks.get_nowait()
                except queue.Empty:
                    return
                self.ended.put(self._grade(task))
        except BaseException as error:
            self.ended.put(error)

    def _grade(self, task: Task) -> Result:
        name, grades = task.submission.slug, self.shop.plan.grades
        self.journal.write("begun", submission=name, key=task.key)
        self.display.start(name)
        if self.cluster and not task.submission.problem:
            self.display.at(name, f"on {self.cluster.address}")
            graded = judged_there(task.submission, self.shop, self.cluster)
        else:
            graded = grade_one(task.submission, self.shop, lambda item: self.display.at(name, item))
        result = graded.result
        keep(graded, grades)
        shutil.rmtree(self.shop.work / f"{name}.out", ignore_errors=True)
        told = {"status": result.status, "verdict": result.verdict, "seconds": result.seconds}
        self.journal.write("done", submission=name, key=task.key, **told)
        self.display.end(name, result)
        return result
