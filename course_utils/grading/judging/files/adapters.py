"""The adapter's own files, of both assignments: no model is loaded and nothing is unpickled."""

from course_utils.assignments.adapter import matrix_of
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.files.common import WEEK05, WEEK09_10, finding, unmet, visit_of
from course_utils.grading.judging.judgement import Judgement, earned
from course_utils.grading.judging.registry import check
from course_utils.grading.results import Evidence


@check(WEEK05, WEEK09_10, needs=("adapter_loads",))
def adapter_trained(case: Case) -> Judgement:
    """All points, where every value is finite and not every B matrix is zero."""
    if untrained := unmet(case, "adapter.trained"):
        return untrained
    finding(case, "adapter.model")  # the nano model is noted, and still is an adapter
    count = sum(matrix_of(name) == "B" for name in visit_of(case).shapes)
    return earned(case, 1, Evidence(label="B matrices", found=f"{count}, finite and not all zero"))


def ranks(shapes: dict[str, tuple[int, ...]]) -> list[int]:
    """The ranks that the A matrices have."""
    return sorted({shape[0] for name, shape in shapes.items() if matrix_of(name) == "A"})


def layers(shapes: dict[str, tuple[int, ...]]) -> list[str]:
    """The kinds of layer that are adapted, e.g. q_proj."""
    return sorted({name.split(".lora_")[0].rpartition(".")[2] for name in shapes})
