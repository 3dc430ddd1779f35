"""The page to try a model: one file, no other server asked, and a policy that holds it to that."""

import base64
import hashlib
import html
import re
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

PAGE = Path(__file__).with_name("templates") / "try.html"


def add(app: FastAPI, title: str) -> None:
    """Serve the page on /."""
    text = PAGE.read_text(encoding="utf-8").replace("{{ title }}", html.escape(title))
    headers = {"Content-Security-Policy": policy(text), "X-Content-Type-Options": "nosniff"}

    @app.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(text, headers=headers)


def policy(page: str) -> str:
    """Only the page's own script and style run, and only this server is asked."""
    allowed = {name: " ".join(_hashes(page, name)) for name in ("script", "style")}
    return (
        f"default-src 'none'; script-src {allowed['script']}; style-src {allowed['style']}; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def _hashes(page: str, tag: str) -> list[str]:
    """The checksums by which a browser knows the page's own <script> or <style>."""
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.S)
    digests = (hashlib.sha256(text.encode()).digest() for text in found)
    return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
