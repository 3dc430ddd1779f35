"""A submission's endpoint, started in the sandbox and asked from outside through its socket file.

found = visit(case)       # once for a submission; three checks look at what it found
found.ready, found.asked, found.timed, found.example

The sandbox has no network, not even loopback: the server listens on a socket file in its place,
and every answer has a limit of bytes and of time.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course_utils import latency, tasks
from course_utils.assignments import deployment, week09_10
from course_utils.assignments.folder import show
from course_utils.endpoint import asking, conversion
from course_utils.endpoint.engines import VARIABLE
from course_utils.endpoint.source import Source
from course_utils.errors import CourseError
from course_utils.execution.sandbox.box import Outcome
from course_utils.execution.sandbox.leash import Leash
from course_utils.execution.sandbox.place import Place, copy_in, hand_over, socket_of
from course_utils.execution.sandbox.place import remove as remove_place
from course_utils.grading.judging.case import Case
from course_utils.latency import Timed
from course_utils.models import resolve
from course_utils.records import check_file
from course_utils.serving import has_llamacpp

SOCKET = "serve.sock"
START_SECONDS = 400.0  # loading, converting the adapter, the self-test
ASK_SECONDS = 400.0  # all questions together
EXAMPLE_SECONDS = 120.0
ASKED = 6  # test records that base and tuned are asked, two of each task
OF = 4  # the shortest of so many times more: that an endpoint answers is seen of short ones too
TIMED = 3  # of them are timed, before and after
TOKENS = 64  # of an answer of the tuned model
# Of one of the base model, which seldom ends by itself: that it begins otherwise is enough.
BEGINNING = 24
LONGEST_LINE = 300
NOT_COPIED = {".git", ".venv", "run", "reports", "__pycache__", ".ipynb_checkpoints"}
Record = Mapping[str, str]


@dataclass
class Found:
    """What the grader saw of an endpoint."""

    problem: str = ""  # why it never was ready; "" where it was
    engine: str = ""
    models: list[str] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    answers: dict[str, list[str]] = field(default_factory=dict)  # base, tuned
    asking_problem: str = ""
    timed: list[Timed] = field(default_factory=list)
    before: list[dict[str, float]] = field(default_factory=list)
    timing_problem: str = ""
    example: Outcome | None = None
    example_asked: float = 0.0  # requests to `tuned` that the example made
    example_problem: str = ""

    @property
    def ready(self) -> bool:
        return not self.problem


def visit(case: Case) -> Found:
    """Start scripts/serve.py, ask it, time it, run the README's example, and end it; once."""
    if "deployed" not in case.facts:
        case.facts["deployed"] = _visit(case)
    return case.facts["deployed"]


def _visit(case: Case) -> Found:
    found = Found()
    if "scripts/serve.py" not in case.folder.files:
        found.problem = "scripts/serve.py is not there"
        return found
    config, base = case.models.config, resolve(case.models.base)
    found.records = _test_records(case, config)
    _convert_base(case, base)
    place = case.box.place()
    try:
        copy_in(case.folder.root, place, case.limits, lambda path: path.name in NOT_COPIED)
        with _served(case, place, found) as server:
            if found.ready:
                _ask(place, found)
                _time(case, place, found)
                _run_example(case, place, found)
            server.end()
    finally:
        remove_place(place)
    if found.timed:
        _time_before(case, base, found)
    return found


def _test_records(case: Case, config: Any) -> list[Record]:
    """Drawn from the submission's own test part, evenly from its tasks; the shorter ones of it."""
    name = "data/test.jsonl"
    if name not in case.folder.files or case.folder.size_problem(name):
        raise CourseError(f"{name}: not there, or too large", week09_10.PREPARE)
    report = check_file(case.folder.path(name), "manufacturing", near=None)
    records = [record for _, record in report.records]
    some = deployment.draw(records, OF * ASKED, case.seed, config.tasks)
    some.sort(key=lambda record: len(record["instruction"]) + len(record["input"]))
    by_task = tasks.by_task(some)
    each = ASKED // max(1, len(by_task))
    short = [some[i] for places in by_task.values() for i in places[:each]]
    return deployment.draw(short, ASKED, case.seed, config.tasks)


def _convert_base(case: Case, base: str) -> None:
    """llama.cpp's file of the base model, made once outside: the sandbox only reads the cache."""
    if has_llamacpp() and can_connect(case):
        conversion.base_file(Source(Path(base), case.models.base, Path(base), None), "q8_0")


def can_connect(case: Case) -> bool:
    """Whether a program in this sandbox may connect to a socket file; llama.cpp's engine does."""
    return case.box.may_connect()


# --- Start and end ------------------------------------------------------------------------------


class _Server(threading.Thread):
    """The submission's server, which runs until it is ended or its limits end it."""

    def __init__(self, case: Case, place: Place, words: Sequence[str]) -> None:
        super().__init__(name="endpoint", daemon=True)
        self.case, self.place, self.words = case, place, words
        self.leash: Leash | None = None
        self.outcome: Outcome | None = None

    def run(self) -> None:
        environment = {} if can_connect(self.case) else {VARIABLE: "transformers"}
        self.outcome = self.case.box.run_command(
            self.words, self.place, self.case.limits, environment=environment, begun=self._begun
        )

    def _begun(self, leash: Leash) -> None:
        self.leash = leash

    def end(self) -> None:
        if self.leash is not None:
            self.leash.kill()
        self.join(60)


@contextlib.contextmanager
def _served(case: Case, place: Place, found: Found) -> Iterator[_Server]:
    """The server in its place, ready or with `found.problem` saying why not."""
    script, path = place.folder / "scripts" / "serve.py", place.sockets / SOCKET
    server = _Server(case, place, [sys.executable, str(script), "--uds", str(path)])
    server.start()
    try:
        found.problem = _wait(server, place)
        yield server
    finally:
        server.end()


def _wait(server: _Server, place: Place) -> str:
    """Until it is ready: ""; else why it is not."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if not server.is_alive():
            return _why_ended(server.outcome, place)
        with contextlib.suppress(CourseError), socket_of(place, SOCKET) as path:
            if asking.is_ready(path):
                return ""
        time.sleep(0.2)
    return f"not ready after {START_SECONDS:.0f} s"


def _why_ended(outcome: Outcome | None, place: Place) -> str:
    if outcome is None:
        return "it did not start"
    said = place.outside(outcome.stderr.strip() or outcome.stdout.strip()).splitlines()[-2:]
    return show(f"it ended ({outcome.verdict.text}): {' '.join(said)}", LONGEST_LINE)


# --- Questions ----------------------------------------------------------------------------------


def _ask(place: Place, found: Found) -> None:
    """Base and tuned, the same records."""
    from openai import OpenAIError

    try:
        with socket_of(place, SOCKET) as path, asking.client_at(path, ASK_SECONDS) as client:
            found.engine = asking.engine_of(path)
            found.models = sorted(show(m.id, 60) for m in client.models.list().data[:20])
            for side, most in zip(deployment.SIDES, (BEGINNING, TOKENS), strict=True):
                found.answers[side] = [
                    latency.of_endpoint(client, side, deployment.prompt_of(r), most).text
                    for r in found.records
                ]
    except (CourseError, OpenAIError, OSError, ValueError, TypeError, AttributeError) as error:
        found.asking_problem = show(f"{type(error).__name__}: {error}", LONGEST_LINE)


def _time(case: Case, place: Place, found: Found) -> None:
    """Requests to `tuned`, one after the other, of prompts that were not asked yet."""
    from openai import OpenAIError

    prompts = _timed_prompts(case, found)
    try:
        with socket_of(place, SOCKET) as path, asking.client_at(path, ASK_SECONDS) as client:
            found.timed = [
                latency.of_endpoint(client, "tuned", p, deployment.TOKENS) for p in prompts
            ]
    except (CourseError, OpenAIError, OSError, ValueError, TypeError, AttributeError) as error:
        found.timing_problem = show(f"{type(error).__name__}: {error}", LONGEST_LINE)


def _timed_prompts(case: Case, found: Found) -> list[Any]:
    """The prompts of the records, each with words in front that no cache has seen."""
    prompts = [deployment.prompt_of(record) for record in found.records[:TIMED]]
    return [
        [{**message, "content": f"({case.seed + i}) {message['content']}"} for message in prompt]
        for i, prompt in enumerate(prompts)
    ]


def _time_before(case: Case, base: str, found: Found) -> None:
    """Plain `generate` with the unmerged adapter, on this machine, in a place with nothing else."""
    place = case.box.place()
    try:
        folder = place.folder / "adapter"
        folder.mkdir()
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            (folder / name).write_bytes(case.folder.bytes_of(f"{week09_10.ADAPTER}/{name}"))
        hand_over(place)
        asked = {"base": base, "adapter": str(folder), "prompts": _timed_prompts(case, found)}
        function = "course_utils.assignments.deployment:naive"
        asked["tokens"] = deployment.TOKENS
        outcome, rows = case.box.call(function, asked, place, case.limits)
        if rows is None:
            raise CourseError(f"`generate` on this machine: {outcome.verdict.text}", "")
        latency.figures(rows)  # a form that is none is an error here
        found.before = rows
    except (CourseError, KeyError, TypeError, ValueError) as error:
        found.timing_problem = show(str(error), LONGEST_LINE)
    finally:
        remove_place(place)


def _run_example(case: Case, place: Place, found: Found) -> None:
    """The README's example as it stands there, its address led to the socket file."""
    try:
        code = deployment.api_example(case.folder.text("README.md"))
    except CourseError as error:
        found.example_problem = error.message
        return
    words = [sys.executable, "-P", "-m", "course_utils.endpoint.bridge"]
    words.append(str(place.sockets / SOCKET))
    limits = case.limits.with_changes(wall=min(case.limits.wall or 1e9, EXAMPLE_SECONDS))
    before = _answered(place)
    found.example = case.box.run_command(words, place, limits, stdin=code.encode())
    found.example_asked = _answered(place) - before


def _answered(place: Place) -> float:
    with contextlib.suppress(CourseError), socket_of(place, SOCKET) as path:
        return asking.answered(path, "tuned")
    return 0.0
