"""Paths taken out of what is handed in: whose machine it was made on is nobody's business.

    scrubber = Scrubber(folder)
    content = scrubber.clean("run/training.json", content)
    scrubber.told()        # "paths of this machine taken out: 12, in 5 files"

A login stands in every home folder's name, and marking with names hidden is none where the files
say it: executed notebooks, adapter_config.json, model cards and logs hold absolute paths.
"""

import re
import socket
from collections import Counter
from pathlib import Path, PurePosixPath

from course_utils import kit
from course_utils.packages import cache_folder

TEXT = {".json", ".jsonl", ".ipynb", ".md", ".txt", ".csv", ".yaml", ".yml", ".py", ".html", ".log"}
HOMES = re.compile(
    rb"(?:/home/|/Users/|[A-Za-z]:(?:\\\\|\\|/)Users(?:\\\\|\\|/))[^/\\\"'\s<>:,;)]+"
)
ROOT_HOME = re.compile(rb"(?<![\w./-])/root(?=/)")
LEAST = 4  # letters of a host's name: shorter ones are words


class Scrubber:
    """Takes the paths of this machine out of a submission's files, and counts them."""

    def __init__(self, root: Path):
        host = socket.gethostname().partition(".")[0]
        models = f"{cache_folder() / 'models'}/"  # a base model is named by its id
        places = {models: "", str(root.resolve()): ".", str(kit.ROOT.resolve()): "kit"}
        home = str(Path.home().resolve())
        places |= {} if home in ("/", "/root") else {home: "~"}  # /root is also a word: below
        longest_first = sorted(places, key=len, reverse=True)
        self._rules = [
            (re.compile(re.escape(place.encode()) + (b"" if place == models else rb"(?![\w-])")),
             places[place].encode())
            for place in longest_first
        ]  # fmt: skip
        self._rules += [(HOMES, b"~"), (ROOT_HOME, b"~")]
        if len(host) >= LEAST and host != "localhost":
            word = rb"(?<![\w.-])" + re.escape(host.encode()) + rb"(?![\w-])"
            self._rules.append((re.compile(word), b"host"))
        self.found: Counter[str] = Counter()

    def clean(self, name: str, content: bytes) -> bytes:
        """The file without paths of this machine. What is no text stays as it is."""
        if PurePosixPath(name).suffix.lower() not in TEXT:
            return content
        for pattern, short in self._rules:
            content, times = pattern.subn(short, content)
            self.found[name] += times
        return content

    def told(self) -> str:
        """What was taken out, as a line; empty where there was nothing."""
        files = sum(1 for times in self.found.values() if times)
        if not files:
            return ""
        return f"paths and names of this machine taken out: {self.found.total()}, in {files} files"
