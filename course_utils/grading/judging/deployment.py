"""Weeks 9-10, part 5: a working endpoint, its latency, new samples, and the API's example.

The endpoint is started once for the three checks that need it (deployed.py).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from course_utils import latency, tasks
from course_utils.assignments import deployment
from course_utils.assignments.definition import find
from course_utils.assignments.folder import json_object, listed, number_in, show
from course_utils.errors import CourseError
from course_utils.grading.judging import deployed
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.judgement import Judgement, earned, failed, not_judged, undecided
from course_utils.grading.judging.registry import check
from course_utils.grading.judging.saying import advise, say
from course_utils.grading.results import Evidence

WEEKS = "week09_10_manufacturing"
EVIDENCE = "run/endpoint.json"
MEASURE = "run python scripts/serve.py --measure, which writes it"

# Two answers agree where their main scores differ by no more than this: 8 bits a weight and another
# engine turn a word now and then.
SCORE = 0.1
# Share of the tuned answers that must agree for the whole point: with q8_0 one in four may part.
AGREE = 0.75
# A speed-up may be stated so many times as large as ours. It depends on cores, caches and what else
# runs: on one machine, two runs of the reference differ by a factor of 1.5 when it is busy.
OVERSTATED = 3.0
# Of our own speed-up: below, before and after are alike.
FASTER = 1.2
# Relative, of figures that are computed from the same stored requests.
FOLLOWS = 1e-3


# --- The endpoint -------------------------------------------------------------------------------


@check(WEEKS, needs=("adapter_loads",), runs=True)
def endpoint_answers(case: Case) -> Judgement:
    """A third each: it becomes ready, base and tuned differ, tuned answers as the adapter does."""
    found = deployed.visit(case)
    if not found.ready:
        seen = Evidence(label="scripts/serve.py", found=found.problem)
        return failed(
            seen, feedback=advise(say("week09_10.judged.endpoint_silent", problem=found.problem))
        )
    seen = [Evidence(label="ready", found=f"yes, engine {found.engine or 'not told'}")]
    if found.asking_problem:
        seen.append(Evidence(label="asked", found=found.asking_problem))
        asked = say("week09_10.judged.endpoint_asked", problem=found.asking_problem)
        return earned(case, 1 / 3, *seen, feedback=advise(asked))
    different = sum(map(begins_otherwise, *found.answers.values()))
    both = set(deployment.SIDES) <= set(found.models) and different > 0
    of = len(found.records)
    seen.append(Evidence(label="models", found=listed(found.models)))
    seen.append(Evidence(label="answers of base and tuned that differ", found=f"{different}/{of}"))
    share = _agreement(case, found)
    seen.append(Evidence(label="answers that score as the adapter's", found=f"{share:.0%}"))
    total = 1 / 3 + both / 3 + min(1.0, share / AGREE) / 3
    said = [] if both else [say("week09_10.judged.two_models")]
    if share < AGREE:
        said.append(say("week09_10.judged.served_answers", share=share, least=AGREE))
    return earned(case, total, *seen, feedback=advise(*said))


def begins_otherwise(base: str, tuned: str) -> bool:
    """Whether the base model's answer, of which only the beginning was asked, is another one."""
    return base != tuned and not (base and tuned.startswith(base))


def _agreement(case: Case, found: deployed.Found) -> float:
    """Share of the endpoint's tuned answers that score as those of the adapter itself."""
    own = case.models.answers(found.records, tuned=True, max_new_tokens=deployed.TOKENS)
    pairs = zip(found.answers["tuned"], own, found.records, strict=True)
    return sum(_agree(a, b, record) for a, b, record in pairs) / max(1, len(own))


def _agree(first: str, second: str, record: Mapping[str, str]) -> bool:
    scores = [tasks.main_score(text, record) for text in (first, second)]
    if None in scores:  # a record of one's own without facts
        return tasks.token_f1(first, second) >= 0.5
    return abs(scores[0] - scores[1]) <= SCORE  # type: ignore[operator]


# --- Latency ------------------------------------------------------------------------------------


@check(WEEKS, needs=("endpoint_answers",), runs=True)
def latency_true(case: Case) -> Judgement:
    """A third each: figures follow, the speed-up is no exaggeration, it is faster here too."""
    content = _evidence(case)
    stated = number_in(content["speedup"], "speedup")
    follows = _what_does_not_follow(case, content)
    seen = [Evidence(label="figures from the stored requests", found=follows or "follow")]
    found = deployed.visit(case)
    if found.timing_problem or not found.before or not found.timed:
        return undecided(
            f"the latency could not be measured here: {found.timing_problem or 'no answer'}", *seen
        )
    theirs = content["server"].get("engine")
    if theirs not in (found.engine, "transformers"):  # the slow one: ours can only be better
        other = f"measured with {show(theirs, 40)}; on this machine {found.engine} serves"
        return undecided(other, *seen)
    before, after = (
        latency.figures(rows)["tokens_per_second"] for rows in (found.before, found.timed)
    )
    ours = after / before
    note = f"{before:.1f} tokens/s before, {after:.1f} after, on our machine"
    seen.append(
        Evidence(
            label="speed-up", found=f"{ours:.1f} times", stated=f"{stated:.1f} times", note=note
        )
    )
    agrees = stated <= OVERSTATED * ours
    total = (not follows) / 3 + agrees / 3 + (ours >= FASTER) / 3
    said = [say("week09_10.judged.latency", "follows", problem=follows)] if follows else []
    said += [] if agrees else [say("week09_10.judged.latency", "stated", most=OVERSTATED)]
    said += [] if ours >= FASTER else [say("week09_10.judged.latency", "slow")]
    return earned(case, total, *seen, feedback=advise(*said))


def _evidence(case: Case) -> dict[str, Any]:
    """run/endpoint.json. CourseError where it is not there, or not as it is written."""
    if EVIDENCE not in case.folder.files:
        raise CourseError(f"{EVIDENCE}: there is no such file", MEASURE)
    content = json_object(case.folder.json(EVIDENCE))
    try:
        for name in ("before", "after", "at_once"):
            _check_side(content[name])
        number_in(content["at_once"]["seconds"], "seconds")
        json_object(content["server"])
        number_in(content["speedup"], "speedup")
    except (KeyError, TypeError, AttributeError) as error:
        raise CourseError(f"{EVIDENCE}: not as it is written ({error})", MEASURE) from None
    return content


def _check_side(side: Mapping[str, Any]) -> None:
    if not side["requests"] or len(side["requests"]) > 1000:
        raise CourseError(f"{EVIDENCE}: {len(side['requests'])} requests", MEASURE)
    for row in side["requests"]:
        for name in ("first", "seconds", "tokens"):
            if number_in(row[name], name) < 0:
                raise CourseError(f"{EVIDENCE}: {name} is negative", MEASURE)
    for name in deployment.FIGURES:
        number_in(side["figures"][name], name)


def _what_does_not_follow(case: Case, content: dict[str, Any]) -> str:
    """The first figure that is not what the stored requests give; "" where all are."""
    counts = [len(content[name]["requests"]) for name in ("before", "after")]
    if counts[0] != counts[1]:
        return f"{counts[0]} requests before, {counts[1]} after"
    for side, figures in deployment.figures_again(content).items():
        for name, value in figures.items():
            if not _close(content[side]["figures"][name], value):
                return f"{side}, {deployment.FIGURES[name]}: {value:.3f} follows"
    if not _close(content["speedup"], deployment.speedup(content)):
        return f"speed-up: {deployment.speedup(content):.2f} follows"
    page = "reports/latency.md"
    lines = case.folder.text(page).splitlines() if page in case.folder.files else []
    table = deployment.latency_table(content).splitlines()
    return "" if set(table) <= set(lines) else f"{page} has another table"


def _close(stated: float, found: float) -> bool:
    return abs(stated - found) <= FOLLOWS * max(abs(stated), abs(found), FOLLOWS)


# --- New samples --------------------------------------------------------------------------------


@check(WEEKS, runs=True)
def samples_judged(case: Case) -> Judgement:
    """The share of the tasks with two new samples, stored answers and true scores."""
    name = deployment.SAMPLES.as_posix()
    if name not in case.folder.files:
        raise CourseError(f"{name}: there is no such file", "write it: two samples of each task")
    samples = deployment.parse_samples(case.folder.text(name))
    content = json_object(case.folder.json(EVIDENCE)) if EVIDENCE in case.folder.files else {}
    rows = content.get("samples")
    old = deployment.not_new(samples, _records(case))
    good, seen, problems = 0, [], []
    wanted = find(case.assignment).thresholds.tasks
    for task in wanted:
        numbers = [n for n, own in enumerate(samples, start=1) if own["task"] == task]
        problem = _problem(numbers, samples, rows, old)
        good += not problem
        if problem:
            problems.append(say("week09_10.judged.samples", problem=f"{task}: {problem}"))
        seen.append(Evidence(label=task, found=problem or _told(numbers, samples, rows)))
    return earned(case, good / len(wanted), *seen, feedback=advise(*problems))


def _records(case: Case) -> list[dict[str, str]]:
    """Instruction and input of every record of the three parts; broken lines count elsewhere."""
    import json

    found = []
    for part in ("train", "val", "test"):
        name = f"data/{part}.jsonl"
        if name not in case.folder.files or case.folder.size_problem(name):
            continue
        for line in case.folder.text(name).split("\n"):  # \n alone ends a line of JSON
            try:
                own = json.loads(line)
                found.append({key: str(own[key]) for key in ("instruction", "input")})
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
    return found


def _problem(
    numbers: Sequence[int], samples: Sequence[Mapping[str, str]], rows: Any, old: Sequence[int]
) -> str:
    """What is wrong with the samples of one task; "" where all is right."""
    if len(numbers) < deployment.LEAST_SAMPLES:
        return f"{len(numbers)} samples, {deployment.LEAST_SAMPLES} are asked for"
    if known := set(numbers) & set(old):
        return f"sample {min(known)} stands in your data"
    for number in numbers:
        sample = samples[number - 1]
        row = rows[number - 1] if isinstance(rows, list) and len(rows) >= number else None
        if not isinstance(row, dict) or any(row.get(k) != v for k, v in sample.items()):
            return f"sample {number} was not asked: {MEASURE}"
        for side in deployment.SIDES:
            answer = row.get(side)
            if not isinstance(answer, str) or len(answer) > 20_000:
                return f"sample {number} has no answer of {side}"
            score, told = tasks.main_score(answer, sample) or 0.0, row.get(f"{side}_score")
            if isinstance(told, bool) or not isinstance(told, int | float):
                return f"sample {number} has no score of {side}"
            if not _close(float(told), score):
                return f"sample {number}: {side} scores {score:.2f}, {told:.2f} is stated"
    return ""


def _told(numbers: Sequence[int], samples: Sequence[Mapping[str, str]], rows: Any) -> str:
    """The mean scores of base and tuned, computed from the stored answers."""
    scores = {
        side: [tasks.main_score(rows[n - 1][side], samples[n - 1]) or 0.0 for n in numbers]
        for side in deployment.SIDES
    }
    means = ", ".join(f"{side} {sum(own) / len(own):.2f}" for side, own in scores.items())
    return f"{len(numbers)} samples: {means}"


# --- The API ------------------------------------------------------------------------------------


@check(WEEKS, needs=("endpoint_answers",), runs=True)
def api_example_runs(case: Case) -> Judgement:
    """The README's example asks `tuned`, ends well and prints something."""
    found = deployed.visit(case)
    if found.example_problem:
        seen = Evidence(label="README.md", found=found.example_problem)
        none = say("week09_10.judged.example", "none", problem=found.example_problem)
        return failed(seen, feedback=advise(none))
    if not deployed.can_connect(case):
        return undecided("this machine's sandbox lets no program connect to a socket file")
    if found.example is None:
        return not_judged("the endpoint was gone before the example could be run")
    outcome, said = found.example, found.example.stdout.strip()
    seen = [
        Evidence(label="the example", found=outcome.verdict.text),
        Evidence(label="requests to tuned", found=f"{found.example_asked:g}"),
        Evidence(label="it printed", found=show(said, 200) or "nothing"),
    ]
    if not outcome.verdict.ok:
        last = (outcome.stderr.strip().splitlines() or ["it said nothing"])[-1]
        ended = say("week09_10.judged.example", "ended", problem=show(last, 200))
        return failed(*seen, feedback=advise(ended))
    share = 0.5 + 0.25 * (found.example_asked >= 1) + 0.25 * bool(said)
    missing = [] if found.example_asked >= 1 else [say("week09_10.judged.example", "unasked")]
    missing += [] if said else [say("week09_10.judged.example", "silent")]
    return earned(case, share, *seen, feedback=advise(*missing))
