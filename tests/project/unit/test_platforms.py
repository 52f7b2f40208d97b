"""What only one operating system has is not called, so that macOS and Linux can run all of it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import videomoments_dagster

PROJECT = Path(videomoments_dagster.__file__).parents[1]
LINUX_ONLY = {
    "AF_NETLINK",
    "SO_PEERCRED",
    "copy_file_range",
    "eventfd",
    "memfd_create",
    "pidfd_open",
    "posix_fadvise",
    "posix_fallocate",
    "prctl",
    "sched_getaffinity",
    "sched_setaffinity",
    "sendfile",  # of macOS: to sockets only
    "setns",
    "splice",
    "timerfd_create",
    "unshare",
    "epoll",
}


def found_in(source: str) -> set[str]:
    """Names of one system, and paths below /proc and /sys, in some code."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in LINUX_ONLY:
            found.add(node.attr)
        elif isinstance(node, ast.ImportFrom):
            found |= LINUX_ONLY & {one.name for one in node.names}
        elif isinstance(node, ast.Constant) and str(node.value).startswith(("/proc/", "/sys/")):
            found.add(node.value)
    return found


def test_no_module_calls_what_one_system_alone_has() -> None:
    calls = {
        str(path.relative_to(PROJECT)): found
        for folder in ("videomoments_dagster", "db", "migrations", "demo")
        for path in sorted((PROJECT / folder).rglob("*.py"))
        if (found := found_in(path.read_text()))
    }
    assert calls == {}


@pytest.mark.parametrize(
    "source",
    ["os.sendfile(a, b, 0, 9)", "from os import memfd_create", 'open("/proc/self/status")'],
)
def test_such_a_call_would_be_found(source: str) -> None:
    assert found_in(source)
