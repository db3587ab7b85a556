"""Only ways to libvirt that verify the other end are taken."""

from __future__ import annotations

import pytest

from vmctl.domain.libvirt_uri import check_libvirt_uri


@pytest.mark.parametrize(
    "uri",
    [
        "qemu:///system",
        "qemu:///session",
        "test:///default",
        "test:///srv/node.xml",
        "qemu+ssh://kvm1/system",
        "qemu+ssh://ops@kvm1.example:2222/session?no_tty=1&keyfile=/k",
        "qemu+ssh://kvm1/system?no_tty=1&command=/a%20b/100%25%26x%3D1",
        "qemu+ssh://[2001:db8::1]:22/system?socket=/run/s;netcat=nc",
        "qemu+tls://kvm1/system",
        "qemu+tls://kvm1:16514/system?pkipath=/pki",
    ],
)
def test_a_way_that_verifies_is_taken_as_it_is(uri: str) -> None:
    assert check_libvirt_uri(uri) == uri


@pytest.mark.parametrize(
    "uri",
    [
        "qemu+ssh://h/system?no_verify=1",
        "qemu+ssh://h/system?No_Verify=1",
        "qemu+ssh://h/system?no%5fverify=1",
        "qemu+ssh://h/system?no_tty=1;no_verify=1",
        "qemu+ssh://h/system?known_hosts_verify=ignore",
        "qemu+ssh://h/system?name=qemu%2Btcp://other/system",
        "qemu+tls://h/system?no_verify=1",
        "qemu+tls://h/system?tls_priority=NORMAL:%2BANON-ECDH",
        "qemu:///system?name=qemu%2Btcp://other/system",
        "test:///default?no_verify=1",
    ],
)
def test_a_parameter_that_is_not_known_to_be_harmless_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match="might turn off verification; "):
        check_libvirt_uri(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "qemu+libssh2://h/system?known_hosts_verify=ignore",
        "qemu+libssh://h/system",
        "qemu+tcp://h/system",
        "qemu+ext://h/system?command=/x",
        "qemu+unix:///system",
        "qemu://h/system",
        "qemu+ssh:///system",
        "qemu+ssh://-oProxyCommand=x/system",
        "qemu+ssh://-l@h/system",
        "qemu+ssh://u:p@h/system",
        "qemu+ssh://h/system#?no_verify=1",
        "qemu+ssh://h/embed",
        "qemu:///system\n",
        "xen:///system",
        "test://h/default",
        "QEMU+SSH://h/system",
        "",
    ],
)
def test_any_other_way_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match="no way that proves"):
        check_libvirt_uri(uri)
