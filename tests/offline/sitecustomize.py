"""Keeps every Python process of the test run off the network; only this machine can be reached.

tests/conftest.py puts this folder on PYTHONPATH, so that notebook kernels, papermill workers and
`transformers serve` load it when they start. What was tried is also appended to the file named by
COURSE_NETWORK_LOG, because a library may swallow the error and go on. Sockets that C or Rust code
opens by itself (libzmq, libcurl) are not seen.
"""

import errno
import os
import socket
import sys

LOG = "COURSE_NETWORK_LOG"


def is_local(host):
    """Loopback by name or address, or "any address of this machine" (None, "", 0.0.0.0, ::)."""
    import ipaddress

    host = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if host in (None, "", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:  # a name: looking it up would ask a server
        return False
    return address.is_loopback or address.is_unspecified


def record(target):
    """Append one line: what was asked for, and the code that asked."""
    path = os.environ.get(LOG)
    if not path:
        return
    frame = sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename in (__file__, socket.__file__):
        frame = frame.f_back
    where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
    with open(path, "a", encoding="utf-8") as log:
        log.write(f"{target} from {where} in process {os.getpid()}\n")


def _refused(sock, address):
    """Whether an address lies outside this machine; if so, it is recorded."""
    internet = sock.family in (socket.AF_INET, socket.AF_INET6)
    if not internet or not isinstance(address, tuple) or is_local(address[0]):
        return False
    record(f"{address[0]}:{address[1]}")
    return True


def _guarded_method(real, refuse):
    """`real` for addresses on this machine, `refuse(address)` for others; the address is last."""

    def method(self, *arguments):
        if arguments and _refused(self, arguments[-1]):
            return refuse(arguments[-1])
        return real(self, *arguments)

    method.guarded = True
    return method


def _guarded_lookup(real):
    def lookup(host, *arguments, **keywords):
        if not is_local(host):
            record(f"the address of {host!r}")
            raise socket.gaierror(socket.EAI_AGAIN, f"no network in tests: lookup of {host!r}")
        return real(host, *arguments, **keywords)

    lookup.guarded = True
    return lookup


def _unreachable(address):
    raise OSError(errno.ENETUNREACH, f"no network in tests: connection to {address[0]}")


def install():
    """Put the guards in place of whatever stands there; what is guarded stays as it is."""
    refusals = {
        "connect": _unreachable,
        "sendto": _unreachable,
        "connect_ex": lambda address: errno.ENETUNREACH,  # its way to say so
    }
    for name, refuse in refusals.items():
        real = getattr(socket.socket, name)
        if not hasattr(real, "guarded"):
            setattr(socket.socket, name, _guarded_method(real, refuse))
    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
        real = getattr(socket, name)
        if not hasattr(real, "guarded"):
            setattr(socket, name, _guarded_lookup(real))


def run_the_other():
    """The `sitecustomize` that this one hides (Debian and some IDEs have one) runs as well."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    here = os.path.dirname(os.path.realpath(__file__))
    spec = PathFinder.find_spec(
        "sitecustomize", [path for path in sys.path if os.path.realpath(path) != here]
    )
    if spec and spec.loader:
        spec.loader.exec_module(module_from_spec(spec))


if __name__ == "sitecustomize":  # at the start of Python; conftest.py loads it by another name
    install()
    run_the_other()
