"""The system calls that no notebook needs, refused by the kernel (seccomp).

pyseccomp compiles the filter in the process that may be trusted; the child only loads its bytes,
in the moment in which it gives up everything else.
"""

import ctypes
import errno
import os
import socket
import tempfile

# Ways into another namespace, another process or the kernel; new mounts; keys.
REFUSED = [
    "unshare",
    "setns",
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "move_mount",
    "open_tree",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "kcmp",
    "pidfd_getfd",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "keyctl",
    "add_key",
    "request_key",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "open_by_handle_at",
    "name_to_handle_at",
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "swapon",
    "swapoff",
    "reboot",
    "quotactl",
    "acct",
    "settimeofday",
    "clock_settime",
    "sethostname",
    "setdomainname",
    "personality",
    "lookup_dcookie",
]
NEW_NAMESPACES = 0x7E020000 | 0x00000080  # CLONE_NEWNS ... CLONE_NEWNET, CLONE_NEWTIME
PR_SET_SECCOMP, MODE_FILTER = 22, 2
CURE = "python -m pip install -r requirements-grading.txt (pyseccomp; it needs libseccomp2)"


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def compile_filter(network: bool = True, connect: bool = True) -> bytes:
    """The filter as BPF; b"" where pyseccomp or its library is missing.

    Without `network` only Unix sockets can be made; without `connect` none can be connected to a
    name, which on a desktop would reach services that act outside with the user's rights.
    """
    try:
        import pyseccomp
    except (ImportError, RuntimeError, OSError):
        return b""
    refuse = pyseccomp.ERRNO(errno.EPERM)
    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    for name in REFUSED:
        _add(rules, refuse, name)
    # glibc asks for clone3 first, whose flags a filter can't see, and takes clone where it is not.
    _add(rules, pyseccomp.ERRNO(errno.ENOSYS), "clone3")
    for flag in (1 << bit for bit in range(32) if NEW_NAMESPACES >> bit & 1):
        if flag != 0x80:  # CLONE_NEWTIME stands in clone's signal byte: clone3 and unshare only
            _add(rules, refuse, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, flag, flag))
    if not network:
        closed = pyseccomp.ERRNO(errno.EOPNOTSUPP)  # any other one makes libzmq abort
        _add(rules, closed, "socket", pyseccomp.Arg(0, pyseccomp.NE, int(socket.AF_UNIX)))
    if not connect:
        _add(rules, pyseccomp.ERRNO(errno.EACCES), "connect")
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()


def _add(rules: object, action: object, name: str, *arguments: object) -> None:
    try:
        rules.add_rule(action, name, *arguments)
    except (ValueError, OSError):  # a name that this library or architecture does not know
        return


def load_filter(program: bytes) -> None:
    """Put the filter over this process and its children; `no_new_privs` must be set before."""
    buffer = ctypes.create_string_buffer(program, len(program))
    loaded = _Program(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_SECCOMP, MODE_FILTER, ctypes.byref(loaded), 0, 0):
        error = ctypes.get_errno()
        raise OSError(error, f"seccomp: {os.strerror(error)}")
