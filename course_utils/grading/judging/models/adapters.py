"""The adapter, loaded: the item on which everything that asks a model rests."""

from course_utils.errors import CourseError
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.files.common import WEEK05, WEEK09_10
from course_utils.grading.judging.judgement import Judgement, earned, failed
from course_utils.grading.judging.registry import check
from course_utils.grading.judging.saying import advise, say
from course_utils.grading.probing.bases import NotGradable
from course_utils.grading.probing.probe import NotMeasured
from course_utils.grading.results import Evidence


@check(WEEK05, WEEK09_10)
def adapter_loads(case: Case) -> Judgement:
    """All points, where every tensor finds its layer in the base model of the configuration."""
    evidence = [Evidence(label="base model", found=case.models.base)]
    try:
        adapter = case.models.adapter
        evidence.append(Evidence(label="tensors in the file", found=f"{len(adapter.shapes)}"))
        report = case.models.load_report()
    except (NotGradable, NotMeasured):
        raise
    except CourseError as refused:
        reason = Evidence(label="the adapter", found=f"does not load: {refused.message}"[:600])
        return failed(*evidence, reason, feedback=refused.cure or refused.message)
    missing, unmatched = report.counts
    left_over, bare = _listed(unmatched, report.unmatched), _listed(missing, report.missing)
    evidence += [
        Evidence(label="layers with an adapter", found=f"{report.layers}"),
        Evidence(label="tensors without a layer", found=left_over),
        Evidence(label="layers without a tensor", found=bare),
    ]
    if report.complete:
        return earned(case, 1, *evidence)
    incomplete = say("judged.adapter_incomplete", unmatched=left_over, missing=bare)
    return failed(*evidence, feedback=advise(incomplete))


def _listed(count: int, names: list[str]) -> str:
    return f"{count}, such as {names[0]}" if count else "none"
