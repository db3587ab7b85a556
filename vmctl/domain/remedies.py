"""Commands that mend a host, word for word as its distribution has them."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vmctl.domain.sample import HostSample

_INSTALL = {
    "debian": "apt-get install -y",
    "rhel": "dnf install -y",
    "suse": "zypper install -y",
    "arch": "pacman -S --noconfirm",
    "alpine": "apk add",
}
_FAMILIES = {
    "debian": "debian",
    "ubuntu": "debian",
    "rhel": "rhel",
    "fedora": "rhel",
    "centos": "rhel",
    "rocky": "rhel",
    "almalinux": "rhel",
    "suse": "suse",
    "opensuse": "suse",
    "sles": "suse",
    "arch": "arch",
    "alpine": "alpine",
}
_PACKAGES = {
    "libvirt": {
        "debian": "libvirt-daemon-system qemu-system-x86 qemu-utils dnsmasq-base",
        "rhel": "libvirt qemu-kvm",
        "suse": "libvirt-daemon-qemu qemu-kvm",
        "arch": "libvirt qemu-base dnsmasq",
        "alpine": "libvirt-daemon libvirt-client qemu-system-x86_64",
    },
    "uefi": {
        "debian": "ovmf",
        "rhel": "edk2-ovmf",
        "suse": "qemu-ovmf-x86_64",
        "arch": "edk2-ovmf",
        "alpine": "ovmf",
    },
    "tpm": {
        "debian": "swtpm swtpm-tools",
        "rhel": "swtpm swtpm-tools",
        "suse": "swtpm",
        "arch": "swtpm",
        "alpine": "swtpm",
    },
    "flock": dict.fromkeys(_INSTALL, "util-linux"),
    "chrony": dict.fromkeys(_INSTALL, "chrony"),
    "filter": {
        "debian": "iptables ebtables",
        "rhel": "iptables-nft",
        "suse": "iptables ebtables",
        "arch": "iptables-nft",
        "alpine": "iptables ebtables",
    },
}
_MODULAR = "virtqemud virtnetworkd virtstoraged virtnodedevd virtnwfilterd virtsecretd"


def family(sample: HostSample | None) -> str | None:
    """Name the family of distributions that the host is of, if it is a known one."""
    if sample is None:
        return None
    words = [sample.os_id or "", *(sample.os_like or "").split()]
    known = (_FAMILIES.get(word.split("-")[0]) for word in words)
    return next((one for one in known if one), None)


def as_root(command: str, user: str | None) -> str:
    """Put sudo before a command that root alone may run, where the login is another user."""
    return command if user == "root" else f"sudo {command}"


def install(what: str, sample: HostSample | None, user: str | None) -> str:
    """Give the command that installs something; what has no package of its own name is curl."""
    kind = family(sample)
    if kind is None:
        return f"install {_PACKAGES.get(what, {}).get('debian', what)} with the host's package tool"
    return as_root(f"{_INSTALL[kind]} {_PACKAGES.get(what, {}).get(kind, what)}", user)


def modular(sample: HostSample | None) -> bool:
    """Whether the host runs libvirt as a daemon for each driver, as Rocky 9 does."""
    if sample is None:
        return False
    if sample.sockets_seen:
        return "libvirt-sock" not in sample.sockets_seen
    return "virtqemud" in sample.tools and "libvirtd" not in sample.tools


def start_libvirt(sample: HostSample | None, user: str | None) -> str:
    """Give the command that starts libvirt now and at every boot."""
    if family(sample) == "alpine":
        return (
            as_root("rc-update add libvirtd", user)
            + " && "
            + as_root("rc-service libvirtd start", user)
        )
    if modular(sample):
        sockets = " ".join(f"{daemon}.socket" for daemon in _MODULAR.split())
        return as_root(f"systemctl enable --now {sockets}", user)
    return as_root("systemctl enable --now libvirtd", user)


def restart_libvirt(sample: HostSample | None, user: str | None) -> str:
    """Give the command that starts a libvirt anew that hangs; its machines run on."""
    if family(sample) == "alpine":
        return as_root("rc-service libvirtd restart", user)
    return as_root(f"systemctl restart {'virtqemud' if modular(sample) else 'libvirtd'}", user)


def restart_ssh(user: str | None) -> str:
    """Give the command, for the host's console, that starts an sshd anew that lets nobody in."""
    return as_root(f"systemctl restart ssh || {as_root('systemctl restart sshd', user)}", user)


def libvirt_log(sample: HostSample | None, user: str | None) -> str:
    """Give the command that shows what libvirt last complained of."""
    return as_root(f"journalctl -u {'virtqemud' if modular(sample) else 'libvirtd'} -n 50", user)


def join_group(group: str, login: str | None) -> str:
    """Give the command that lets a user be of a group; it holds from the next login on."""
    who = shlex.quote(login) if login else '"$USER"'
    return f"sudo usermod -aG {group} {who}"


def virsh(words: str, *names: str) -> str:
    """Give a virsh command about things of these names."""
    return " ".join(["virsh -c qemu:///system", words, *map(shlex.quote, names)])


def filter_bridges(user: str | None) -> str:
    """Give the commands that send bridged frames through the packet filter, now and ever after."""
    tee = as_root("tee", user)
    return (
        f"echo br_netfilter | {tee} /etc/modules-load.d/vmctl.conf"
        f" && {as_root('modprobe br_netfilter', user)}"
        " && printf 'net.bridge.bridge-nf-call-%s = 1\\n' iptables ip6tables"
        f" | {tee} /etc/sysctl.d/90-vmctl.conf && {as_root('sysctl --system', user)}"
    )


def more_startups(user: str | None) -> str:
    """Give the commands that let sshd answer many logins at once."""
    tee = as_root("tee", user)
    return (
        f"echo 'MaxStartups 100:30:200' | {tee} /etc/ssh/sshd_config.d/10-vmctl.conf"
        f" && {as_root('systemctl reload sshd || ' + as_root('systemctl reload ssh', user), user)}"
    )


def keep_time(sample: HostSample | None, user: str | None) -> str:
    """Give the command that lets the host keep the time."""
    if family(sample) == "rhel":
        return (
            install("chrony", sample, user)
            + " && "
            + as_root("systemctl enable --now chronyd", user)
        )
    return as_root("timedatectl set-ntp true", user)
