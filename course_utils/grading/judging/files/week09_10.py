"""Weeks 9-10: the configuration, the adapter beside it, the requirements."""

from course_utils.assignments.configuration import ALL_LINEAR, LoraFile
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.files import imports
from course_utils.grading.judging.files.adapters import layers, ranks
from course_utils.grading.judging.files.common import (
    WEEK09_10,
    finding,
    note_stated,
    reading,
    unmet,
    visit_of,
)
from course_utils.grading.judging.judgement import Judgement, earned, failed
from course_utils.grading.judging.registry import check
from course_utils.grading.judging.saying import advise, say
from course_utils.grading.results import Evidence

REQUIREMENTS = "requirements.txt"
AGREE = ("adapter.rank", "adapter.alpha", "adapter.targets")


@check(WEEK09_10)
def config_valid(case: Case) -> Judgement:
    """All points for a configuration that the scripts' own reader takes."""
    if problem := unmet(case, "config"):
        return problem
    return earned(case, 1, Evidence(label="read as", found=finding(case, "config").message))


@check(WEEK09_10, needs=("config_valid", "adapter_loads"))
def adapter_matches(case: Case) -> Judgement:
    """All points, where rank, scale and layers are those of the configuration."""
    if problem := unmet(case, "config", "adapter.config", "adapter.weights"):
        return problem
    visit = visit_of(case)
    evidence = _compared(case, visit.config, visit.adapter, visit.shapes)
    if problem := unmet(case, *AGREE):
        return failed(*evidence, feedback=problem.feedback)
    return earned(case, 1, *evidence)


def _compared(
    case: Case, config: LoraFile, adapter: dict, shapes: dict[str, tuple[int, ...]]
) -> list[Evidence]:
    """What the configuration says beside what the adapter's files hold."""
    told = ", ".join(map(str, ranks(shapes)))
    rows = [
        ("rank, in the tensors", config.r, told),
        ("rank, in adapter_config.json", config.r, adapter.get("r")),
        ("lora_alpha", config.lora_alpha, adapter.get("lora_alpha")),
        ("lora_dropout", config.lora_dropout, adapter.get("lora_dropout")),
    ]
    evidence = []
    for label, stated, found in rows:
        agrees = str(stated) == str(found) or stated == found
        note_stated(case, f"configs/lora_config.yaml: {label}", stated, found, agrees)
        evidence.append(Evidence(label=label, found=f"{found}"[:80], stated=f"{stated}"))
    targets = config.target_modules
    asked = targets if targets == ALL_LINEAR else ", ".join(sorted(targets))
    found = ", ".join(layers(shapes))
    agrees = finding(case, "adapter.targets").state == "ok"
    note_stated(case, "configs/lora_config.yaml: target_modules", asked, found, agrees)
    evidence.append(Evidence(label="layers", found=found[:200], stated=asked[:200]))
    return evidence


@check(WEEK09_10)
def requirements_complete(case: Case) -> Judgement:
    """All points, where every line parses and every imported package is named or the kit's."""
    if problem := unmet(case, "requirements"):
        return problem
    with reading(case, REQUIREMENTS):
        named = imports.named(case.folder.path(REQUIREMENTS))
    found: dict[str, str] = {}  # package -> the file that imports it
    for name in imports.code_files(case.folder):
        with reading(case, name):
            found |= dict.fromkeys(imports.imported(case.folder, name), name)
    lacking = sorted(found.keys() - named - imports.of_the_kit())
    evidence = [
        Evidence(label="packages named", found=f"{len(named)}"),
        Evidence(label="packages imported", found=", ".join(sorted(found)) or "none"),
    ]
    if lacking:
        places = ", ".join(f"{package} ({found[package]})" for package in lacking)
        return failed(*evidence, feedback=advise(say("week09_10.judged.not_named", places=places)))
    return earned(case, 1, *evidence)
