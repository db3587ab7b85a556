"""The lab as a test uses it: from outside, with the plain tools that an operator has."""

from __future__ import annotations

import dataclasses
import functools
import json
import subprocess
import sys
from pathlib import Path

from tests.lab import lab
from tests.lab.operator import libvirt_uri
from tests.lab.plan import CHECKOUT, HostPlan, LabPlan


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """A lab in a folder; every change of it is a command, as a person would give it."""

    root: Path

    @property
    def plan(self) -> LabPlan:
        return lab.current(self.root)

    @property
    def hosts(self) -> tuple[HostPlan, ...]:
        return self.plan.hosts

    def host(self, name: str) -> HostPlan:
        return self.plan.host(name)

    def command(self, *words: str) -> list[str]:
        """The command line of one of the lab's verbs."""
        return [sys.executable, "-m", "tests.lab", "--dir", str(self.root), *words]

    def do(self, *words: str) -> str:
        """Give the lab a command and return what it said."""
        done = plain(*self.command(*words), seconds=120)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def each(self, script: str) -> dict[str, str]:
        """Run a script in every host as its root, and return what each said."""
        said: dict[str, str] = json.loads(self.do("each", "sh", "-c", script))
        return said

    def ssh(
        self, host: str, script: str, *, seconds: float = 30
    ) -> subprocess.CompletedProcess[str]:
        """Run a script on a host through plain ssh."""
        limits = ["-o", "ConnectTimeout=3", "-o", "ConnectionAttempts=1"]
        return plain("ssh", "-F", str(self.plan.ssh_config), *limits, host, script, seconds=seconds)

    def virsh(
        self, host: str, *words: str, seconds: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run plain virsh here against a host's libvirt over ssh."""
        uri = libvirt_uri(self.plan, self.host(host))
        return plain("virsh", "-q", "-c", uri, *words, seconds=seconds)

    def virsh_ok(self, host: str, *words: str, seconds: float = 60) -> str:
        """Run plain virsh and insist that it succeeds."""
        done = self.virsh(host, *words, seconds=seconds)
        assert done.returncode == 0, f"{host}: virsh {words}: {done.stderr}"
        return done.stdout


@functools.cache
def image(kind: str) -> Path:
    """The path of a guest image, built at its first use; building takes root, as the lab does."""
    done = plain(sys.executable, "-m", "tests.lab", "image", kind, seconds=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return Path(done.stdout.strip())


def plain(*argv: str, seconds: float) -> subprocess.CompletedProcess[str]:
    """Run a command; one that does not end in time failed with 124, as timeout(1) has it."""
    try:
        return subprocess.run(
            argv,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
            cwd=CHECKOUT,
        )
    except subprocess.TimeoutExpired as late:
        said = late.stderr.decode(errors="replace") if isinstance(late.stderr, bytes) else ""
        return subprocess.CompletedProcess(argv, 124, "", said)
