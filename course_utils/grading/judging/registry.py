"""Which function scores which item: checks say so themselves, where they are written.

    @check("week05_parameter_lab", "week09_10_manufacturing", needs=("adapter_loads",))
    def adapter_trained(case: Case) -> Judgement: ...

    checks_of("week05_parameter_lab")["adapter_trained"](case)

The function's name is the rubric's `check`. A check that `needs` others is not called where one of
their items earned nothing: the item is then *not judged*, with the needed item's title.
"""

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from types import ModuleType

from course_utils.grading import judging
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.judgement import Judgement

Check = Callable[[Case], Judgement]

CHECKS: dict[str, dict[str, Check]] = {}  # assignment -> name of the check -> its function
RUNS: dict[str, set[str]] = {}  # assignment -> checks that execute what was handed in
NEEDS: dict[str, dict[str, tuple[str, ...]]] = {}  # assignment -> check -> the checks it needs


def check(
    *assignments: str, needs: tuple[str, ...] = (), runs: bool = False
) -> Callable[[Check], Check]:
    """Register a function for these assignments (the rubric's names). Its name must be free.

    `runs`: it executes what was handed in, so full points are kept (keeping.py).
    """

    def register(function: Check) -> Check:
        name = function.__name__
        for assignment in assignments:
            known = CHECKS.setdefault(assignment, {}).setdefault(name, function)
            if known is not function:
                raise ValueError(f"{assignment}: {name} stands in {known.__module__} already")
            NEEDS.setdefault(assignment, {})[name] = needs
            if runs:
                RUNS.setdefault(assignment, set()).add(name)
        return function

    return register


def checks_of(assignment: str) -> dict[str, Check]:
    """Every check of an assignment by its name, from all modules of this package."""
    check_modules()
    return CHECKS.get(assignment, {})


def needs_of(assignment: str, name: str) -> tuple[str, ...]:
    """The checks that must have earned something before this one is called."""
    return NEEDS.get(assignment, {}).get(name, ())


@cache
def check_modules() -> tuple[ModuleType, ...]:
    """All modules below this package, imported: a new file of checks needs no list."""
    found = pkgutil.walk_packages(judging.__path__, f"{judging.__name__}.")
    return tuple(importlib.import_module(module.name) for module in found)
