"""A page of a fresh Chromium, for the tests of what people open in a browser."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
NEEDED = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
    pytest.mark.skipif(not find_spec("playwright"), reason="no playwright: pip install playwright"),
]
ARGUMENTS = [
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",  # no other machine
]
SLOW = 120_000  # ms; a busy machine is slow, not broken


@contextlib.contextmanager
def fresh_page(
    width: int,
    height: int,
    slow: int = SLOW,
    counts: Callable[[Any], bool] = lambda message: True,
    **options: Any,
) -> Iterator[Any]:
    """A page that reaches this machine only; `problems` are its errors, `asked` its requests.

    `counts` says of an error on the console whether it is one; `options` are Playwright's.
    """
    from playwright.sync_api import sync_playwright

    def note(message: Any) -> None:
        if message.type == "error" and counts(message):
            page.problems.append(message.text)

    with tempfile.TemporaryDirectory() as profile, sync_playwright() as playwright:
        browser = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=CHROMIUM,
            headless=True,
            args=ARGUMENTS,
            viewport={"width": width, "height": height},
            **options,
        )
        page = browser.pages[0]
        page.set_default_timeout(slow)
        page.problems, page.asked = [], []
        page.on("console", note)
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        yield page
        browser.close()
