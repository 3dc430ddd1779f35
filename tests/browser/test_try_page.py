"""The endpoint's page in a real browser: base and tuned side by side, no other machine asked.

Needs Chromium, e.g. `apt-get install chromium`. The pictures of the pages in docs:
COURSE_SCREENSHOTS=docs COURSE_SHOWN=runs/my-run python -m pytest tests/browser/test_try_page.py
"""

import json
import os
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest
from chromium import NEEDED, fresh_page
from random_adapters import random_adapter
from served import running

pytestmark = [
    *NEEDED,
    pytest.mark.skipif(
        not find_spec("xllamacpp"), reason="no engine: pip install -r requirements-serve.txt"
    ),
]
RECORD = '{"instruction": "Answer in JSON.", "input": "L/H PUMP LEAKING", "output": "{}"}\n'


@pytest.fixture(scope="module")
def run(nano_model_path, tmp_path_factory) -> Path:
    """A run folder with an adapter and one test record; or the run that is to be shown."""
    if shown := os.environ.get("COURSE_SHOWN"):
        return Path(shown)
    folder = tmp_path_factory.mktemp("run")
    random_adapter(nano_model_path, folder / "adapter")
    (folder / "data").mkdir()
    (folder / "data" / "test.jsonl").write_text(RECORD, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def served(run):
    with running(run, "--threads", "1", "--slots", "2", "--context", "512") as started:
        assert started.url, started.said
        yield started


@pytest.fixture
def page():
    with fresh_page(1100, 900) as page:
        yield page


def ask(page) -> dict[str, str]:
    """Press Ask and wait; what each model answered."""
    page.get_by_role("button", name="Ask").click()
    page.wait_for_function("() => document.getElementById('state').textContent === 'done'")
    return {
        box.get_attribute("data-model"): box.locator(".text").inner_text()
        for box in page.locator(".answer").all()
    }


def test_a_test_record_is_asked_and_both_answers_stand_side_by_side(served, page):
    page.goto(served.url)
    page.locator("#example option").nth(1).wait_for(state="attached")
    page.select_option("#example", index=1)
    answers = ask(page)
    assert set(answers) == {"base", "tuned"}
    assert answers["base"] != answers["tuned"]
    for box in page.locator(".answer").all():
        figures = box.locator(".figures").inner_text()
        assert all(word in figures for word in ("first token", "ms", "tokens/s"))
    assert "True answer:" in page.locator("#expected").inner_text()
    if keep := os.environ.get("COURSE_SCREENSHOTS"):
        page.locator("summary").click()
        page.screenshot(path=f"{keep}/endpoint.png", full_page=True)
    assert page.problems == []
    assert all(url.startswith((served.url, "data:")) for url in page.asked)


def test_the_copied_command_asks_the_same(served, page, tmp_path):
    page.goto(served.url)
    page.fill("#question", 'it\'s "odd" $HOME `x` \\ ü')
    page.fill("#tokens", "6")
    tuned = ask(page)["tuned"]
    command = page.locator("#curl").text_content()
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120)
    assert json.loads(done.stdout)["choices"][0]["message"]["content"] == tuned
    python = page.locator("#python").text_content()
    scope: dict = {}
    exec(compile(python, "page", "exec"), scope)
    assert scope["reply"].choices[0].message.content == tuned


def test_a_refusal_is_shown(served, page):
    page.goto(served.url)
    page.fill("#question", "pump " * 900)
    assert "context" in ask(page)["base"]
    page.problems = [text for text in page.problems if "400" not in text]  # what Chromium logs
    assert page.problems == []


def test_the_description_of_the_interface_loads_nothing_from_elsewhere(served, page):
    page.goto(f"{served.url}/docs")
    page.get_by_text("Answer a conversation").wait_for()
    assert all(url.startswith((served.url, "data:")) for url in page.asked)


def test_with_a_key_the_page_asks_for_it(run, page):
    key = "a-key-of-more-than-16-characters"
    options = ("--threads", "1", "--slots", "2", "--context", "512", "--api-key", key)
    with running(run, *options) as locked:
        page.goto(locked.url)
        page.locator("#key").fill(key)
        page.locator("#key").blur()
        page.locator(".answer").nth(1).wait_for()
        page.fill("#question", "PUMP")
        assert set(ask(page)) == {"base", "tuned"}
