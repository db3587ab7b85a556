"""Packages of the machine's own distribution: which there are, and what is in them."""

import re
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

META = ("linux-image-cloud-amd64", "linux-image-virtual")
"""What stands for the newest kernel for guests: Debian's name, then Ubuntu's."""


class Package(NamedTuple):
    name: str
    version: str
    depends: tuple[str, ...]


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """What the command printed; its complaint is in the error if it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        words = " ".join(str(word) for word in command)
        raise RuntimeError(f"{words} ended with {done.returncode}:\n{done.stderr or done.stdout}")
    return done.stdout


def installed(*names: str) -> dict[str, str]:
    """The versions of these packages on this machine."""
    listing = run("dpkg-query", "-W", "-f", "${Package}=${Version}\n", *names)
    return dict(line.split("=", 1) for line in listing.splitlines())


@cache
def offered(name: str) -> Package | None:
    """The package as apt would install it, or None where there is none of that name."""
    shown = subprocess.run(
        ["apt-cache", "show", "--no-all-versions", name],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    fields = dict(re.findall(r"^(\S+): (.*)$", shown.split("\n\n")[0], re.MULTILINE))
    if "Version" not in fields:
        return None
    depends = re.split(r"[,|]\s*", fields.get("Depends", ""))
    names = tuple(depend.split()[0].split(":")[0] for depend in depends if depend.strip())
    return Package(fields["Package"], fields["Version"], names)


def kernel() -> tuple[Package, ...]:
    """The package of the guests' kernel and, where that is another, the one of its modules."""
    found = _kernel()
    if not found:
        run("apt-get", "-qq", "update")
        offered.cache_clear()
        found = _kernel()
    if not found:
        raise RuntimeError(f"apt offers neither {' nor '.join(META)}")
    return found


def _kernel() -> tuple[Package, ...]:
    for meta in META:
        image = offered(meta)
        while image and not re.match(r"linux-image-\d", image.name):
            # Ubuntu's name leads over others to the package with a version in its name.
            nexts = [name for name in image.depends if name.startswith("linux-image-")]
            image = offered(nexts[0]) if nexts else None
        if image:
            modules = [name for name in image.depends if re.match(r"linux-modules-\d", name)]
            return (image, *(package for name in modules if (package := offered(name))))
    return ()


def unpack(packages: tuple[Package, ...], folder: Path) -> Path:
    """A folder with the contents of these packages, fetched by apt and not installed."""
    debs, root = folder / "debs", folder / "unpacked"
    debs.mkdir()
    wanted = [f"{package.name}={package.version}" for package in packages]
    run("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *wanted, cwd=debs)
    for deb in sorted(debs.iterdir()):
        run("dpkg-deb", "-x", deb, root)
    return root
