"""Figures for Prometheus: requests, tokens, waiting times, memory."""

import time
from dataclasses import dataclass, field

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from course_utils.endpoint.gate import Gate

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Figures:
    """The counters of one server."""

    def __init__(self, gate: Gate) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        place = {"registry": self.registry}
        self.requests = Counter(
            "course_requests", "Answered requests", ["model", "status"], **place
        )
        self.tokens = Counter("course_tokens", "Tokens", ["model", "kind"], **place)
        self.first = Histogram(
            "course_first_token_seconds", "Until the first token", ["model"],
            buckets=SECONDS, **place,
        )  # fmt: skip
        self.whole = Histogram(
            "course_request_seconds", "Until the last token", ["model"], buckets=SECONDS, **place
        )
        for name, attribute in (("running", "running"), ("waiting", "waiting")):
            gauge = Gauge(f"course_requests_{name}", f"Requests {name} now", **place)
            gauge.set_function(lambda attribute=attribute: getattr(gate, attribute))

    def text(self) -> bytes:
        return generate_latest(self.registry)


@dataclass
class Watch:
    """One request, from its arrival to its end."""

    figures: Figures
    model: str
    started: float = field(default_factory=time.perf_counter)
    seen: bool = False

    def token(self) -> None:
        """Called at each chunk; the first one counts."""
        if not self.seen:
            self.seen = True
            self.figures.first.labels(self.model).observe(time.perf_counter() - self.started)

    def done(self, status: int, usage: dict[str, int] | None = None) -> None:
        self.figures.requests.labels(self.model, str(status)).inc()
        self.figures.whole.labels(self.model).observe(time.perf_counter() - self.started)
        for kind in ("prompt", "completion"):
            count = (usage or {}).get(f"{kind}_tokens") or 0
            self.figures.tokens.labels(self.model, kind).inc(count)
