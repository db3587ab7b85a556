"""A guest image under plain QEMU, with no libvirt and no host: to try an image by itself.

`python -m tests.lab.images.boot IMAGE` prints the seconds from start to the ready line, five times.
"""

import contextlib
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.images import READY
from tests.lab.images.packages import run

TCG = ("-accel", "tcg", "-machine", "q35", "-nodefaults", "-vga", "std", "-display", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A booting or running guest: its files in `folder`, its sshd on a local port."""

    folder: Path
    process: subprocess.Popen[bytes]
    port: int

    def console(self) -> str:
        log = self.folder / "console.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def wait_for(self, text: str, seconds: float, times: int = 1) -> str:
        """The rest of the line behind the text on the serial console, once it stands there."""
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up:
            found = self.console().split(text)
            if len(found) > times and "\n" in found[times]:
                return found[times].splitlines()[0].strip()
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        state = "ended" if self.process.poll() is not None else f"after {seconds} s"
        raise TimeoutError(f"{state} without {text!r} on the console:\n{self.console()[-2000:]}")

    def ssh(self, *words: str, key: Path, user: str = "root") -> str:
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
        options += ["IdentitiesOnly=yes", "ConnectTimeout=10", "BatchMode=yes"]
        flags = [word for option in options for word in ("-o", option)]
        where = ["-F", "none", "-i", str(key), "-p", str(self.port), f"{user}@127.0.0.1"]
        return run("ssh", *flags, *where, *words)

    def qmp(self, command: str) -> None:
        with _talk(self.folder / "qmp") as (stream, _):
            for name in ("qmp_capabilities", command):
                stream.write(json.dumps({"execute": name}).encode() + b"\n")
                stream.flush()
                while "return" not in json.loads(stream.readline()):
                    pass

    def agent(self, command: str, **arguments: Any) -> Any:
        """What the guest agent returns, waiting for it to be there."""
        with _talk(self.folder / "agent") as (stream, _):
            request = {"execute": command, "arguments": arguments}
            stream.write(json.dumps(request).encode() + b"\n")
            stream.flush()
            answer = json.loads(stream.readline())
        if "return" not in answer:
            raise RuntimeError(f"{command}: {answer}")
        return answer["return"]

    def agent_ends(self, command: str, **arguments: Any) -> None:
        """Tells the guest agent to do what it will not live to answer."""
        with _talk(self.folder / "agent") as (stream, _):
            request = {"execute": command, "arguments": arguments}
            stream.write(json.dumps(request).encode() + b"\n")
            stream.flush()
            self.process.wait(20)

    def type_and_read(self, typed: str, wanted: str, seconds: float) -> str:
        """What the serial console says from the moment `typed` is sent until `wanted` is in it."""
        with _talk(self.folder / "serial") as (stream, line):
            stream.write(typed.encode())
            stream.flush()
            line.settimeout(seconds)
            heard = ""
            while wanted not in heard:
                heard += line.recv(4096).decode(errors="replace")
        return heard


@contextlib.contextmanager
def _talk(path: Path) -> Iterator[tuple[Any, socket.socket]]:
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(20)
        line.connect(str(path))
        with line.makefile("rwb") as stream:
            yield stream, line


def vfat_seed(folder: Path, files: Mapping[str, str], label: str = "cidata") -> Path:
    """A seed as a FAT image."""
    image = folder / "seed.vfat"
    run("mkfs.vfat", "-C", "-n", label, image, "1024")
    for name, text in files.items():
        source = folder / "part"
        source.write_text(text)
        for parent in list(Path(name).parents)[-2::-1]:
            run("mmd", "-D", "s", "-i", image, f"::{parent}")
        run("mcopy", "-i", image, source, f"::{name}")
    return image


def iso_seed(folder: Path, files: Mapping[str, str], label: str = "cidata") -> Path:
    """A seed as an ISO 9660 image."""
    tree, image = folder / "seed", folder / "seed.iso"
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    run("genisoimage", "-quiet", "-J", "-r", "-V", label, "-o", image, tree)
    return image


def overlay(folder: Path, image: Path) -> Path:
    """A disk of the guest's own on the image."""
    disk = folder / "disk.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image, disk)
    return disk


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def booted(
    folder: Path,
    disk: Path,
    seed: Path | None = None,
    *,
    memory: int = 128,
    cores: int = 1,
    cpu: str = "max",
    net: str = "",
    address: str = "",
    mac: str = "52:54:00:12:34:56",
    more: tuple[str, ...] = (),
) -> Iterator[Guest]:
    """The guest while the block runs; `net` is QEMU's user network, `address` where its sshd is."""
    port = free_port()
    (folder / "console.log").unlink(missing_ok=True)
    words = [*TCG, "-cpu", cpu, "-m", str(memory), "-smp", str(cores), *more]
    words += ["-drive", f"file={disk},if=virtio,format=qcow2,cache=unsafe"]
    if seed:
        words += ["-drive", f"file={seed},if=virtio,format=raw,readonly=on"]
    forward = f"hostfwd=tcp:127.0.0.1:{port}-{address}:22"
    words += ["-netdev", ",".join(filter(None, ["user,id=lan", net, forward]))]
    words += ["-device", f"virtio-net-pci,netdev=lan,mac={mac}", "-device", "virtio-serial"]
    for name in ("serial", "agent", "qmp"):
        log = f",logfile={folder}/console.log" if name == "serial" else ""
        words += ["-chardev", f"socket,id={name},path={folder}/{name},server=on,wait=off{log}"]
    words += ["-serial", "chardev:serial", "-mon", "chardev=qmp,mode=control"]
    words += ["-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"]
    process = subprocess.Popen(["qemu-system-x86_64", *words], stdin=subprocess.DEVNULL)
    try:
        yield Guest(folder=folder, process=process, port=port)
    finally:
        process.kill()
        process.wait()


def main() -> None:
    image, took = Path(sys.argv[1]).absolute(), []
    for _ in range(5):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            seed = vfat_seed(folder, {"meta-data": "instance-id: one\nlocal-hostname: one\n"})
            disk = overlay(folder, image)
            start = time.monotonic()
            with booted(folder, disk, seed) as guest:
                guest.wait_for(READY, 60)
            took.append(time.monotonic() - start)
    print(" ".join(f"{one:.2f}" for one in took), f"median {statistics.median(took):.2f} s")


if __name__ == "__main__":
    main()
