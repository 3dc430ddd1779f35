"""A client's program where no network is: what it asks of this machine goes to a socket file.

python -m course_utils.endpoint.bridge endpoint.sock < example.py

Programs that connect with `socket.create_connection` (OpenAI's client, httpx, http.client, urllib)
reach the socket file under any loopback address and port; every other address is refused.
"""

import socket
import sys
from typing import Any

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class _Local(socket.socket):
    """A Unix socket that takes the options of TCP without having them."""

    def setsockopt(self, level: int, *rest: Any) -> None:
        if level != socket.IPPROTO_TCP:
            super().setsockopt(level, *rest)


def lead_to(path: str) -> None:
    """From now on, connections to this machine lead to the socket file."""

    def connect(address: Any, timeout: Any = None, *_: Any, **__: Any) -> socket.socket:
        if address[0] not in LOOPBACK:
            raise ConnectionRefusedError(f"{address[0]}: only this machine can be reached here")
        made = _Local(socket.AF_UNIX, socket.SOCK_STREAM)
        if isinstance(timeout, int | float):
            made.settimeout(timeout)
        made.connect(path)
        return made

    socket.create_connection = connect


def main() -> None:
    """Run the program on standard input, as if it had been started itself."""
    lead_to(sys.argv[1])
    program = compile(sys.stdin.buffer.read(), "example.py", "exec")
    exec(program, {"__name__": "__main__", "__file__": "example.py"})


if __name__ == "__main__":
    main()
