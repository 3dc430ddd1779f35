"""Generated requests after the server's own description: never a fault of the server.

50 examples for each operation; more: COURSE_EXAMPLES=2000 python -m pytest tests/endpoint
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings

schemathesis = pytest.importorskip("schemathesis", reason="pip install -r requirements-dev.txt")

EXAMPLES = int(os.environ.get("COURSE_EXAMPLES", "50"))
BOUNDED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,  # the same examples every time
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="session")
def operations(server) -> dict:
    """What the running server says of itself; name -> operation."""
    described = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    found = (result.ok() for result in described.get_all_operations())
    return {operation.label: operation for operation in found}


def is_told_rightly(case) -> None:
    """A status below 500, and an error in OpenAI's form."""
    if isinstance(case.body, dict):  # answers of thousands of tokens would test the clock
        case.body.update(max_tokens=2, model="tuned")
        case.body.pop("max_completion_tokens", None)
    answer = case.call(timeout=120)
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def try_all(strategy) -> int:
    tried = 0

    @BOUNDED
    @given(case=strategy)
    def run(case):
        nonlocal tried
        tried += 1
        is_told_rightly(case)

    run()
    return tried


@pytest.mark.parametrize("mode", ["POSITIVE", "NEGATIVE"])
@pytest.mark.parametrize("label", ["POST /v1/chat/completions", "POST /v1/completions"])
def test_no_body_is_a_fault_of_the_server(operations, label, mode):
    strategy = operations[label].as_strategy(generation_mode=schemathesis.GenerationMode[mode])
    assert try_all(strategy) >= min(EXAMPLES, 20)


def test_no_name_of_a_model_is_a_fault_of_the_server(operations):
    assert try_all(operations["GET /v1/models/{name}"].as_strategy()) >= 1


def test_every_path_is_described(operations):
    paths = {"/v1/chat/completions", "/v1/completions", "/v1/models", "/v1/models/{name}"}
    assert {label.split()[1] for label in operations} == paths | {
        "/health",
        "/metrics",
        "/examples",
    }
