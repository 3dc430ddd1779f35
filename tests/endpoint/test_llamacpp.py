"""What the embedded engine is told, before it is loaded."""

import asyncio
from pathlib import Path

import pytest

from course_utils.endpoint.llamacpp import LlamaCpp, Weights


@pytest.mark.parametrize(
    ("temperature", "told"), [(0, {"top_k": 1}), (0.0, {"top_k": 1}), (0.7, {})]
)
def test_only_a_greedy_request_looks_at_the_best_token_alone(temperature, told):
    engine = LlamaCpp({"tuned": Weights(Path("model.gguf"))})
    body = {"temperature": temperature, "max_tokens": 4}
    asyncio.run(engine.close())  # removes its folder
    assert engine._server("tuned").prepared("chat", "tuned", body) == {
        **body, "cache_prompt": True, **told
    }  # fmt: skip
