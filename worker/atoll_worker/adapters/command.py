"""The helm executable, run so that it can neither leak nor outlive us."""

import asyncio
import contextlib
import ctypes
import os
import re
import signal
import subprocess
from functools import lru_cache
from typing import Any

import semver
from pyhelm3 import errors
from pyhelm3.command import Command

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


ChartNotFoundError = errors.ChartNotFoundError
"""pyhelm3's, for those who run helm by this module alone."""


class AnotherOperationError(errors.Error):  # type: ignore[misc]
    """Helm says that another operation is in progress on this release."""


class HelmTimeoutError(errors.Error):  # type: ignore[misc]
    """Helm gave up waiting for the API server."""


def _die_with_parent() -> None:
    """In the child, before exec: be killed when the worker dies, however it dies (prctl(2))."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@lru_cache
def helm_version(executable: str) -> str:
    """The version helm tells, e.g. "4.1.4"; asked once per process."""
    answer = subprocess.run(
        [executable, "version", "--template", "{{.Version}}"],
        capture_output=True, check=True, text=True, timeout=20,
    )  # fmt: skip
    return answer.stdout.strip().lstrip("v")


class ExecCommand(Command):  # type: ignore[misc]
    """pyhelm3's Command without a shell: own process group, dies with its parent, killed on cancel.

    pyhelm3's own starts a shell, which survives a cancelled call with helm still running in it.
    Values travel by stdin and the kubeconfig is a file, so no secret is in argv; nothing that helm
    prints is logged, because a failing chart may print the values it was given.
    """

    def client_version(self) -> Any:
        """The version pyhelm3 asks for in its constructor, without its shell."""
        return semver.VersionInfo.parse(helm_version(self._executable))

    async def install_or_upgrade(self, *args: Any, **options: Any) -> dict[str, Any]:
        """As pyhelm3's, without what was installed: it would parse all of that, seconds of a core that
        block every other look, and we read releases from their records.
        """
        status: dict[str, Any] = await super().install_or_upgrade(*args, **options)
        return {**status, "manifest": "", "hooks": []}

    async def run(self, command: list[Any], input: bytes | None = None) -> bytes:  # noqa: A002
        """Run one helm command; raises pyhelm3's errors and the two of this module."""
        argv = [self._executable, *(str(part) for part in command)]
        if self._kubeconfig:
            argv += ["--kubeconfig", str(self._kubeconfig)]
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE if input is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        try:
            stdout, stderr = await process.communicate(input)
        except asyncio.CancelledError:
            await _end(process)
            raise
        if process.returncode == 0:
            return stdout
        raise _error(process.returncode or 1, stdout, stderr)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill the whole group and wait for it, so that nothing writes after we let go of the lease."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


_KNOWN: tuple[tuple[str, type[errors.Error]], ...] = (
    ("context canceled", errors.CommandCancelledError),
    ("etcdserver", errors.ConnectionError),
    ("another operation", AnotherOperationError),
    ("release: not found", errors.ReleaseNotFoundError),
    (
        "failed to render chart|execution error|values don't meet the spec",
        errors.FailedToRenderChartError,
    ),
    (
        "already exists and cannot be imported|resource that already exists",
        errors.ResourceAlreadyExistsError,
    ),
    ("is invalid", errors.InvalidResourceError),
    (r"chart \"[^\"]+\" (version \"[^\"]+\" )?not found|no such file", errors.ChartNotFoundError),
    ("timed out waiting|deadline exceeded", HelmTimeoutError),
    ("connection refused|unreachable|i/o timeout|tls handshake", errors.ConnectionError),
)


def _error(code: int, stdout: bytes, stderr: bytes) -> errors.Error:
    text = stderr.decode(errors="replace").lower()
    for pattern, kind in _KNOWN:
        if re.search(pattern, text):
            return kind(code, stdout, stderr)
    return errors.Error(code, stdout, stderr)
