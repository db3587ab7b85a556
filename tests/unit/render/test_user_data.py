from __future__ import annotations

import base64
import email
import gzip
from dataclasses import replace
from email.message import Message

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.servers import BUILD, SPEC, with_image
from vmctl.adapters.render import TemplateRenderer
from vmctl.adapters.render.user_data import user_data
from vmctl.domain.build import Volume
from vmctl.domain.guest_words import MOST
from vmctl.domain.network import Network, Source
from vmctl.domain.spec import Secrets
from vmctl.errors import UsageError, VmctlError

HASH = "$6$salt$hash"
NETWORKS = {
    "lan": Network(
        name="lan", source=Source(kind="bridge", name="br-lan"), cidrs=("198.51.100.0/24",)
    )
}
MIME = (
    b'Content-Type: multipart/mixed; boundary="=="\nMIME-Version: 1.0\n\n--==\n'
    b"Content-Type: text/x-shellscript\n\n#!/bin/sh\necho one\n--==\n"
    b"Content-Type: text/cloud-config\n\nruncmd: [two]\n--==--\n"
)
OURS = {"password": HASH, "chpasswd": {"expire": False}, "ssh_pwauth": True}


def said(data: bytes | None, *, password: str | None = HASH) -> bytes:
    encoded = None if data is None else base64.b64encode(data).decode()
    return user_data(SPEC, BUILD, Secrets(user_data=encoded, password_hash=password))


def parts(data: bytes) -> list[tuple[str, bytes]]:
    """The parts as cloud-init walks over them: those that hold others are passed over."""
    message: Message = email.message_from_bytes(data)
    assert b"mime-version:" in data[:4096].lower()
    data.decode("utf-8")
    found = []
    for part in message.walk():
        if part.get_content_maintype() != "multipart":
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            found.append((part.get_content_type(), content))
    return found


@pytest.mark.parametrize(
    "data",
    [b"#!/bin/sh\n", b"#cloud-config\nruncmd: [x]\n", gzip.compress(b"#!/bin/sh\n"), MIME, b"\xff"],
    ids=["script", "config", "packed", "message", "bytes"],
)
def test_what_the_operator_said_alone_reaches_the_guest_untouched(data: bytes) -> None:
    assert said(data, password=None) == data


@pytest.mark.parametrize("kind", ["nocloud", "config-2"])
@pytest.mark.parametrize("password", [None, HASH])
@pytest.mark.parametrize(
    "data", [b"#!/bin/sh\necho\n\n", b"#cloud-config\nruncmd: [x]\n", MIME, b"\xff\0", b"x" * 5000]
)
def test_a_seed_gives_back_what_the_operator_said(
    data: bytes, password: str | None, kind: str
) -> None:
    encoded = base64.b64encode(data).decode()
    told = Secrets(user_data=encoded, password_hash=password)
    written = TemplateRenderer()
    image = written.seed(replace(SPEC, seed=kind), BUILD, networks=NETWORKS, secrets=told)

    again = base64.b64encode(written.user_data_in(image)).decode()

    assert again == encoded
    # Told once more, with another password, it is still the operator's words alone.
    other = Secrets(user_data=again, password_hash="$6$other$hash")  # noqa: S106 - a test's
    image = written.seed(replace(SPEC, seed=kind), BUILD, networks=NETWORKS, secrets=other)
    assert HASH.encode() not in image
    assert written.user_data_in(image) == data


def test_what_is_no_seed_is_said_to_be_none() -> None:
    with pytest.raises(VmctlError, match="the seed cannot be read"):
        TemplateRenderer().user_data_in(bytes(70_000))


def test_what_we_say_alone_is_a_plain_cloud_config() -> None:
    data = said(None)

    assert data.startswith(b"#cloud-config\n")
    assert yaml.safe_load(data) == OURS


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"#cloud-config\nruncmd: [x]\n", "text/cloud-config"),
        (b"#!/bin/sh\necho hi\n", "text/x-shellscript"),
        (b"#include\nhttp://images.example/x\n", "text/x-include-url"),
        (b"#include-once\nhttp://images.example/x\n", "text/x-include-once-url"),
        (b"#cloud-boothook\necho hi\n", "text/cloud-boothook"),
        (b"#part-handler\ndef list_types(): ...\n", "text/part-handler"),
        (b"## template: jinja\n#cloud-config\nx: {{ v1 }}\n", "text/jinja2"),
        (b"#cloud-config-archive\n- x\n", "text/cloud-config-archive"),
        (b"#cloud-config-jsonp\n[]\n", "text/cloud-config-jsonp"),
        (b"  #Cloud-Config\nx: 1\n", "text/cloud-config"),
        (b"what is this", "text/plain"),
        (b"\x00\xff\xfe", "text/plain"),
        (b"#!/bin/sh\n# MIME-Version: 1.0 is no header here\n", "text/x-shellscript"),
    ],
)
def test_what_both_say_is_one_message_of_two_parts_ours_last(data: bytes, kind: str) -> None:
    theirs, (our_kind, ours) = parts(said(data))

    assert theirs == (kind, data)
    assert our_kind == "text/cloud-config"
    assert ours.startswith(b"#cloud-config\n")
    assert yaml.safe_load(ours) == OURS | {
        "merge_how": [
            {"name": "list", "settings": ["append"]},
            {"name": "dict", "settings": ["no_replace", "recurse_list"]},
            {"name": "str", "settings": []},
        ]
    }


def test_a_message_keeps_its_parts_beside_ours() -> None:
    assert [kind for kind, _ in parts(said(MIME))] == [
        "text/x-shellscript",
        "text/cloud-config",
        "text/cloud-config",
    ]


def test_a_packed_message_is_unpacked_to_stand_beside_ours() -> None:
    assert said(gzip.compress(MIME)) == said(MIME)


def test_gzip_of_several_members_is_unpacked_whole() -> None:
    packed = gzip.compress(b"#!/bin/sh\n") + gzip.compress(b"echo two\n")

    assert parts(said(packed))[0] == ("text/x-shellscript", b"#!/bin/sh\necho two\n")


def test_a_message_that_guests_could_not_read_is_refused() -> None:
    with pytest.raises(UsageError, match="no UTF-8"):
        said(MIME + b"\xff")


@pytest.mark.parametrize("data", [b"", b" \n"], ids=["nothing", "blanks"])
def test_empty_user_data_is_none(data: bytes) -> None:
    assert said(data) == said(None)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x1f\x8bnonsense", "and is none"),
        (gzip.compress(b"x" * 99)[:-9], "ends too early"),
        (gzip.compress(b"x" * (MOST + 1)), f"holds more than {MOST} bytes"),
    ],
    ids=["no gzip", "cut off", "a bomb"],
)
def test_gzip_that_cannot_be_unpacked_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        said(data)


def test_user_data_that_is_no_base64_is_refused_without_being_said() -> None:
    with pytest.raises(UsageError) as caught:
        user_data(SPEC, BUILD, Secrets(user_data="hunter2!"))

    assert "hunter2" not in str(caught.value)


def test_files_come_with_their_bytes() -> None:
    secrets = Secrets(files={"/etc/a b": base64.b64encode(b"\x00\xff").decode()})

    ours = yaml.safe_load(user_data(SPEC, BUILD, secrets))

    assert ours == {"write_files": [{"path": "/etc/a b", "encoding": "b64", "content": "AP8="}]}


def test_nobody_may_log_in_by_password_unless_there_is_one() -> None:
    assert b"ssh_pwauth" not in said(None, password=None)


@pytest.mark.parametrize(
    ("bus", "prefix"),
    [("virtio", "virtio-"), ("scsi", "scsi-0QEMU_QEMU_HARDDISK_"), ("sata", "ata-QEMU_HARDDISK_")],
)
def test_further_disks_are_made_ready_by_the_names_that_they_have(bus: str, prefix: str) -> None:
    more = (Volume(name="e", role="ephemeral"), Volume(name="s", role="swap"))
    build = replace(BUILD, volumes=(*BUILD.volumes, *more))

    ours = yaml.safe_load(user_data(with_image(hw_disk_bus=bus), build, Secrets()))

    ephemeral, swap = (f"/dev/disk/by-id/{prefix}vmctl-{role}0" for role in ("ephemeral", "swap"))
    assert ours["mounts"] == [
        [ephemeral, "/mnt", "auto", "defaults,nofail", "0", "2"],
        [swap, "none", "swap", "sw,nofail", "0", "0"],
    ]
    assert [(one["device"], one["filesystem"]) for one in ours["fs_setup"]] == [
        (ephemeral, "ext4"),
        (swap, "swap"),
    ]
    assert not any(one["overwrite"] for one in ours["fs_setup"])


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=300).filter(lambda data: bool(data.strip())))
def test_no_user_data_gets_out_of_its_part(data: bytes) -> None:
    if data.startswith(b"\x1f\x8b"):
        return
    found = parts(said(data))

    assert found[0][1] == data
    assert found[-1][0] == "text/cloud-config"
    assert len(found) == 2


@settings(deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_a_message_of_theirs_takes_nothing_from_ours(head: str, body: str) -> None:
    data = f"Content-Type: text/plain\nMIME-Version: 1.0\nX: {head}\n\n{body}".encode()

    found = parts(said(data))

    assert yaml.safe_load(found[-1][1])["password"] == HASH
