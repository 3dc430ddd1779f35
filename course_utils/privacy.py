"""What a file that others read says of this machine: no home folder, no login, no host.

    shown(Path("/home/ada/course/records.jsonl"))   # "records.jsonl" where one works in course/
    Scrubber({"/home/ada/course/my_lab": "."}).clean("run/training.json", content)

Files that the kit writes name paths by `shown`; what libraries and students write (executed
notebooks, logs, tracebacks) is cleaned as a whole.
"""

import contextlib
import getpass
import json
import os
import re
import shlex
import socket
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath

from course_utils import kit

TEXT = {".json", ".jsonl", ".ipynb", ".md", ".txt", ".csv", ".yaml", ".yml", ".py", ".html", ".log"}
READ_AGAIN = {".py", ".jsonl"}  # programs and records: only what names a person is taken out
DATA = ".jsonl"  # checksums of it are told, so no word of it becomes another
HOMES = re.compile(
    rb"(?:/home/|/Users/|[A-Za-z]:(?:\\\\|\\|/)Users(?:\\\\|\\|/))[^/\\\"'\s<>:,;)]+"
)
# Where a path may begin: not inside a word or an address. In JSON a line's end and a colour are
# written as letters, and a path behind them begins all the same.
START = rb"(\\[nrt]|(?:\\u001[bB]|\x1b)\[[0-9;]*m|(?<![\w.~/:<+-]))"
ROOT_HOME = re.compile(START + rb"/root(?=/)")
LEAST = 4  # letters of a host's name: shorter ones are words
# A machine may be called quartz, and quartz be a mineral of the records: a name that is a word is
# taken out only where it stands as a host's. Alone it does not say that it is one.
A_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
BEFORE_HOST = (
    rb"[\w.+-]@",  # ada@quartz
    rb"://",
    rb"(?:\\[nrt]|(?<![\w.:/@~+-]))(?:/[\w.@~+-]+)*/",  # a path from the root, /net/quartz
    rb"\\\\",  # a share of Windows
    rb"\d\d-\d\d-\d\d_|tfevents\.\d+\.",  # folders and files of TensorBoard
    rb"(?i:host_?name|node_?name)[\\\"']*\s*[:=]\s*[\\\"']*",
    rb"\b(?:Linux|Darwin) ",  # what uname says
)
BEHIND_HOST = rb"\.(?:local|localdomain|lan|home|internal|fritz\.box)\b|:\d{4,5}\b"
# Folders of every system: paths below them say nothing of a person, and `#!/usr/bin/env` is one.
SYSTEM = {"bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "opt", "proc", "run", "sbin"}
SYSTEM |= {"snap", "sys", "usr"}


def shown(path: Path | str) -> str:
    """A path as a file may name it: from the working folder, from the kit, from home, or its name.

    Relative paths and names of models stay as they are.
    """
    if not Path(path).is_absolute():
        return str(path)
    path = Path(path)
    for folder in (Path.cwd(), kit.ROOT):
        for root in (folder, folder.resolve()):
            if _is_inside(root) and path.is_relative_to(root):
                return path.relative_to(root).as_posix()
    if _is_inside(Path.home()) and path.is_relative_to(Path.home()):
        return f"~/{path.relative_to(Path.home()).as_posix()}"
    return path.name


def _is_inside(folder: Path) -> bool:
    """A folder that names may count from: not the root, where containers begin, nor any other that
    holds the home folder, whose name is a login."""
    home = Path.home()
    return len(folder.parts) > 1 and (folder == home or not home.is_relative_to(folder))


def shown_command(words: Iterable[str]) -> str:
    """A command line as a file may hold it, each path as `shown` names it."""
    parts = (word.partition("=") if word.startswith("--") else ("", "", word) for word in words)
    return shlex.join(
        f"{name}{equals}{shown(value)}" if equals or not name else name
        for name, equals, value in parts
    )


def relative_to(*places: Path) -> dict[str, str]:
    """Places for a `Scrubber`: what lies in these folders is named from there."""
    folders = [folder for folder in places if _is_inside(folder)]
    inside = {f"{folder}{os.sep}": "" for folder in folders}
    return {str(folder): "." for folder in folders} | inside


class Scrubber:
    """Takes this machine's paths and names out of files, and counts them.

    `places` are paths and what stands in their place; a path that ends in / is a beginning.
    """

    def __init__(self, places: Mapping[str, str]):
        home = str(Path.home().resolve())
        places = dict(places)
        places |= {} if home in ("/", "/root") else {home: "~"}  # /root is also a word: below
        for place in sorted(places):  # as JSON writes it: a backslash is two
            places.setdefault(json.dumps(place)[1:-1], places[place])
        self._rules = [
            (re.compile(re.escape(place.encode()) + _end(place)), places[place].encode())
            for place in sorted(places, key=len, reverse=True)
        ]
        self._rules += [(HOMES, b"~"), (ROOT_HOME, rb"\1~"), *_login()]
        self._host, self._host_alone, self._elsewhere = _host(), _host_alone(), _elsewhere()
        self._name = _short_host().encode()
        self.found: Counter[str] = Counter()

    def clean(self, name: str, content: bytes) -> bytes:
        """The file without paths of this machine. What is no text stays as it is."""
        ending = PurePosixPath(name).suffix.lower()
        if ending not in TEXT:
            return content
        rules = list(self._rules)
        if self._name in content:
            rules += self._host + (self._host_alone if ending != DATA else [])
        rules += self._elsewhere if ending not in READ_AGAIN else []
        for pattern, short in rules:
            content, times = pattern.subn(short, content)
            self.found[name] += times
        return content

    def told(self) -> str:
        """What was taken out, as a line; empty where there was nothing."""
        files = sum(1 for times in self.found.values() if times)
        if not files:
            return ""
        return f"paths and names of this machine taken out: {self.found.total()}, in {files} files"


def scrubbed(text: str) -> str:
    """A text without paths of this machine; those below the working folder are relative to it."""
    return (
        _scrubber(Path.cwd(), socket.gethostname())
        .clean("text.txt", text.encode(errors="replace"))
        .decode()
    )


@lru_cache(maxsize=4)
def _scrubber(cwd: Path, _host: str) -> Scrubber:
    return Scrubber(relative_to(cwd, kit.ROOT))


def _end(place: str) -> bytes:
    """A folder's name ends where it ends: /a/b is no beginning of /a/bc."""
    return b"" if place.endswith(("/", "\\")) else rb"(?![\w-])"


def _login() -> list[tuple[re.Pattern[bytes], bytes]]:
    """The login where it is a folder of a path (/scratch/ada/x): alone it may be a word."""
    with contextlib.suppress(Exception):  # a user without a name, as in some containers
        login = getpass.getuser()
        if login != "root":
            word = rb"(?<=[/\\])" + re.escape(login.encode()) + rb"(?=[/\\\"'\s])"
            return [(re.compile(word), b"user")]
    return []


def _host() -> list[tuple[re.Pattern[bytes], bytes]]:
    """This machine's name where it can be nothing else: in an address, a path, behind a login."""
    whole, host = socket.gethostname(), _short_host()
    if not host:
        return []
    name, before = re.escape(host.encode()), b"|".join(BEFORE_HOST)
    rules = [
        (re.compile(rb"(" + before + rb")" + name + rb"(?![\w-])"), rb"\1host"),
        (re.compile(rb"(?<![\w.-])" + name + rb"(?=" + BEHIND_HOST + rb")"), b"host"),
    ]
    if whole != host:  # with its domain it is no word
        named = rb"(?<![\w.-])" + re.escape(whole.encode()) + rb"(?![\w-])"
        rules.insert(0, (re.compile(named), b"host"))
    return rules


def _host_alone() -> list[tuple[re.Pattern[bytes], bytes]]:
    """The name alone, where it is no word, or says a login: adas-laptop, adaslaptop."""
    host, login = _short_host(), ""
    with contextlib.suppress(Exception):  # a user without a name, as in some containers
        login = getpass.getuser()
    says_login = len(login) >= 3 and login != "root" and login.lower() in host.lower()
    if not host or (A_WORD.fullmatch(host) and not says_login):
        return []
    # TensorBoard's folders end in _HOST, so an underscore may stand before it.
    word = rb"(?<![A-Za-z0-9.-])" + re.escape(host.encode()) + rb"(?![\w-])"
    return [(re.compile(word), b"host")]


def _short_host() -> str:
    """The host's name without its domain; "" where it is too short, or every machine's."""
    host = socket.gethostname().partition(".")[0]
    return "" if len(host) < LEAST or host == "localhost" else host


def _elsewhere() -> list[tuple[re.Pattern[bytes], bytes]]:
    """Any other path of this machine, from the root: its last name is left."""
    try:
        tops = sorted(set(os.listdir("/")) - SYSTEM, key=len, reverse=True)
    except OSError:  # Windows, or a root that may not be read
        return []
    tops = [re.escape(top.encode()) for top in tops]
    if os.name == "nt" or not tops:
        return []
    part = rb"[^/\\\"'\s<>:,;()|*]+"
    path = START + rb"/(?:" + b"|".join(tops) + rb")/(?:" + part + rb"/)*(" + part + rb")?"
    return [(re.compile(path), rb"\1\2")]
