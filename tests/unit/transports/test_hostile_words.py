"""No name, path, address or URL gets out of its place in a script that a host's shell runs.

Each script is run by a real ``sh``, among tools that write down which words they were given.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.lab.bases import an_image
from vmctl.adapters import base_fetch, base_prune, neighbours
from vmctl.adapters.base_fetch import download_script, upload_script
from vmctl.adapters.check import trial_script
from vmctl.adapters.guest_entry import GuestWay, ssh_words
from vmctl.adapters.probe import probe_script, quote_for_virsh
from vmctl.adapters.scripts import command, encode
from vmctl.domain.cached import Cached
from vmctl.domain.host import Host
from vmctl.errors import RemoteFailed

RECORDER = """\
#!/bin/sh
printf '%s\\0' "${0##*/}" "$@" >"$(mktemp "$RECORDS/XXXXXXXXXX")"
case $0 in */curl) cat >"$RECORDS/config" ;; esac
case " $* " in *" $FAILS "*) exit 1 ;; esac
"""
TOOLS = ("virsh", "ping", "ip", "curl")
PIECES = (
    *("; touch pwned; ", "$(touch pwned)", "`touch pwned`", "\ntouch pwned\n", "|touch pwned|"),
    *("& touch pwned &", "' touch pwned '", '" touch pwned "', ">pwned", "\nEND\ntouch pwned\n"),
    *("'", '"', "\\", "\n", "\t", " ", "*", "?", "[a-z]", "~", "-", "--", "$", "${IFS}", "$@", "#"),
    *("!", "%", "%s", "&", "=", "{}", "(", ")", "é", "\u2028", "\x01", "word", "x"),
)
HOSTILE = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join)
ONE_LINE = HOSTILE.map(lambda word: word.replace("\n", " "))

Calls = list[list[str]]


def calls_of(script: str, *, fails: str = "nothing", told: str = "") -> Calls:
    """What the tools of a host are called with while it runs a script; nothing else may happen.

    What it is told on its stdin goes after the script. What curl reads there is a call of its own.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for made in ("bin", "records", "here"):
            (folder / made).mkdir()
        for tool in TOOLS:
            (folder / "bin" / tool).write_text(RECORDER)
            (folder / "bin" / tool).chmod(0o755)
        sent = encode(script)
        subprocess.run(
            ["sh", "-c", command(become=False, limit=20, script=sent, more=True)],
            input=sent + told.encode(),
            cwd=folder / "here",
            env={
                "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
                "RECORDS": str(folder / "records"),
                "FAILS": fails,
            },
            capture_output=True,
            check=False,
        )
        assert list((folder / "here").iterdir()) == []
        found = {path.name: path.read_bytes() for path in (folder / "records").iterdir()}
    config = found.pop("config", None)
    calls = [[word.decode() for word in record.split(b"\0")[:-1]] for record in found.values()]
    return calls if config is None else [*calls, ["config", config.decode()]]


def virsh(calls: Calls, verb: str) -> Calls:
    """What virsh was given after this verb, call by call."""
    return [call[call.index(verb) + 1 :] for call in calls if call[0] == "virsh" and verb in call]


def runs(count: int) -> Callable[..., Callable[..., None]]:
    return settings(max_examples=count, deadline=None)


@runs(12)
@given(HOSTILE, HOSTILE)
def test_a_look_asks_libvirt_in_one_word(pool: str, other: str) -> None:
    script = probe_script(nonce="n1", pools=(pool, other), images=True)

    asked = [call for call in calls_of(script) if call[0] == "virsh"]

    assert [call[:4] for call in asked] == [["virsh", "-q", "-c", "qemu:///system"]]
    assert quote_for_virsh(pool) in asked[0][4]
    assert quote_for_virsh(other) in asked[0][4]
    assert len(asked[0]) == 5


@runs(12)
@given(HOSTILE)
@example("--x")
def test_virsh_takes_a_quoted_name_for_that_name(word: str) -> None:
    if shutil.which("virsh") is None:
        pytest.skip("no virsh here")
    ask = f"pool-dumpxml --pool {quote_for_virsh(word)}; echo after"

    done = subprocess.run(
        ["virsh", "-q", "-c", "test:///default", ask], capture_output=True, text=True, check=False
    )

    assert f"failed to get pool '{word}'" in done.stderr
    assert done.stdout.strip() == "after"


@runs(12)
@given(ONE_LINE, ONE_LINE, ONE_LINE)
def test_a_trial_makes_its_volume_in_that_pool(pool: str, emulator: str, kernel: str) -> None:
    script = trial_script(nonce="n1", pools=(pool,), emulator=f"/x/{emulator}", kernels=(kernel,))

    calls = calls_of(script)

    made = ["--pool", pool, "--name", "vmctl-check-n1", "--capacity", "4096", "--format", "raw"]
    assert virsh(calls, "vol-create-as") == [made]
    assert virsh(calls, "vol-delete") == [["--pool", pool, "--vol", "vmctl-check-n1"]]


@runs(12)
@given(HOSTILE, st.ip_addresses())
def test_who_answers_is_asked_on_that_bridge(bridge: str, address: object) -> None:
    calls = calls_of(neighbours._question(bridge, str(address)))

    pings = [call for call in calls if call[0] == "ping"]
    assert [call[call.index("-I") + 1] for call in pings] == [bridge]
    devices = [call[call.index("dev") + 1] for call in calls if call[0] == "ip"]
    assert set(devices) <= {bridge}


@runs(12)
@given(HOSTILE, HOSTILE)
def test_bytes_go_into_that_volume_and_out_of_it(pool: str, name: str) -> None:
    there = [f"--pool={pool}", f"--vol={name}"]

    up = calls_of(upload_script(pool, name, 7, f"/nowhere/{name}"))
    down = calls_of(download_script(pool, name))

    assert virsh(up, "vol-upload") == [[*there, "--file=/dev/stdin", "--length=7"]]
    assert virsh(down, "vol-download") == [[*there, "--file=/dev/stdout"]]


class Heard:
    """The other end of a stream, which has fetched whatever it was told to."""

    said = ""

    def write(self, data: bytes) -> None:
        self.said += data.decode()

    def read_line(self, timeout: float) -> bytes | None:
        del timeout
        return b"fetched"

    def close(self) -> None:
        return


def with_lock(script: str) -> str:
    """The same with a lock that is there wherever tests run."""
    assert f"lock={base_fetch.LOCK}\n" in script
    return script.replace(f"lock={base_fetch.LOCK}\n", "lock=/\n")


@runs(12)
@given(HOSTILE, HOSTILE)
def test_a_base_image_is_looked_for_and_made_in_that_pool(pool: str, name: str) -> None:
    script = with_lock(base_fetch._script(pool, name, 7))

    calls = calls_of(script, fails="vol-path")

    looked = virsh(calls, "vol-path")
    assert [f"--pool={pool}", f"--vol={name}.ok"] in looked
    assert {call[0] for call in looked} == {f"--pool={pool}"}
    assert virsh(calls, "vol-create") == [[f"--pool={pool}", "--file=/dev/stdin"]]


@runs(12)
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30))
@example('"; output = "/etc/passwd')
@example('\\"\\')
def test_a_host_fetches_that_url_and_says_it_to_nobody(path: str) -> None:
    # A space, or what cannot be printed, makes it no URL for an image.
    url = f"http://x/{path}".replace(" ", "")
    heard = Heard()
    fetch = base_fetch.Fetch(Host(name="h", address="h"), "p", "n", an_image(b""))
    fetch._stream = heard
    with contextlib.suppress(base_fetch.SourceFailed, RemoteFailed):
        fetch.by_url(url, lambda _: None)

    calls = calls_of(with_lock(base_fetch._script("p", "n", 7)), fails="vol-path", told=heard.said)

    (config,) = [call[1] for call in calls if call[0] == "config"]
    found = re.fullmatch(r'url = "((?:[^"\\]|\\.)*)"\n', config)
    assert found is not None
    assert re.sub(r"\\(.)", r"\1", found[1]) == url
    assert not [call for call in calls if call[0] != "config" and url in " ".join(call)]


@runs(12)
@given(HOSTILE)
@example("' touch pwned '")
def test_base_images_are_taken_out_of_that_pool(pool: str) -> None:
    idle = [Cached(pool=pool, digest=digit * 64, whole=digit == "a", used=False) for digit in "ab"]
    script = base_prune._script(pool, idle).replace(f"lock={base_fetch.LOCK}\n", "lock=/\n")

    gone = virsh(calls_of(script), "vol-delete")

    assert {call[0] for call in gone} == {f"--pool={pool}"}
    assert [f"--pool={pool}", f"--vol=vmctl-base-{'a' * 64}"] in gone


@runs(40)
@given(HOSTILE, HOSTILE, st.lists(HOSTILE, min_size=2, max_size=3))
def test_what_enters_a_guest_is_no_option_and_no_other_word(
    login: str, folder: str, said: list[str]
) -> None:
    way = GuestWay(server="5c3f", address="192.0.2.7", login=login, identity=folder)
    with tempfile.TemporaryDirectory() as name:
        words = ssh_words(way, tuple(said), folder=f"{name}/kept", passage=f"/x/{folder}")

    end = words.index("--", words.index("-i") + 2)
    assert words[end : end + 2] == ["--", "192.0.2.7"]
    (line,) = words[end + 2 :]
    assert words[words.index("-l") + 1] == login
    assert words[words.index("-i") + 1] == folder
    assert words_of(line) == said
    (proxy,) = [word for word in words if word.startswith("ProxyCommand=")]
    plain = proxy.removeprefix("ProxyCommand=").replace("%h", "h").replace("%p", "p")
    assert words_of(plain.replace("%%", "%")) == [f"/x/{folder}", "[h]:p"]


def words_of(line: str) -> list[str]:
    """What a shell takes a line for."""
    done = subprocess.run(
        ["sh", "-fc", f"printf '%s\\0' {line}"], capture_output=True, check=True, cwd="/"
    )
    return done.stdout.decode().split("\0")[:-1]
