"""Grading the machine itself: versions, KVM, clock, firmware, identity, and room for a flavor."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vmctl.domain import remedies
from vmctl.domain.check import Finding, failure, unknown, warning, well
from vmctl.domain.cpus import dedicated_on, format_cpus
from vmctl.domain.resources import format_size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vmctl.domain.check_facts import Facts

OLDEST_LIBVIRT, OLD_LIBVIRT = (6, 0), (7, 0)
OLDEST_QEMU, OLD_QEMU = (4, 2), (5, 2)
"""Below the first nothing was tried and commands are missing; the second is the oldest in use."""

FEW_STARTUPS = 10
"""As many logins may wait at sshd by default; a drain and a refresh together need no fewer."""

SKEW_WARNS, SKEW_FAILS = 3.0, 60.0
"""Seconds: what the question itself may take, and what breaks certificates and logs."""


def grade_versions(facts: Facts) -> Iterable[Finding]:
    """Grade whether libvirt and QEMU are of an age that vmctl knows."""
    sample = facts.sample
    if sample is None:
        return ()
    user = facts.contact.user or facts.host.user
    remedy = remedies.install("libvirt", sample, user)
    findings = []
    for name, said, oldest, old in (
        ("libvirt", sample.libvirt_version, OLDEST_LIBVIRT, OLD_LIBVIRT),
        ("QEMU", sample.qemu_version, OLDEST_QEMU, OLD_QEMU),
    ):
        numbers = tuple(int(part) for part in re.findall(r"[0-9]{1,9}", said or "")[:2])
        if not numbers:
            findings.append(failure("versions", f"no {name} that runs machines was found", remedy))
        elif numbers < oldest:
            least = ".".join(map(str, oldest))
            findings.append(
                failure("versions", f"{name} {said} is too old: {least} is needed", remedy)
            )
        elif numbers < old:
            findings.append(warning("versions", f"{name} {said} is old", remedy))
        else:
            findings.append(well("versions", f"{name} {said}"))
    return findings


def grade_kvm(facts: Facts) -> Iterable[Finding]:
    """Grade whether KVM is there and really runs Linux: a dead one starts machines that hang."""
    host, sample = facts.host, facts.sample
    if host.virt_type == "qemu":
        return (unknown("kvm", "the inventory says virt_type: qemu, so it is not used"),)
    if sample is None:
        return ()
    user = facts.contact.user or host.user
    emulate = "or say virt_type: qemu in the inventory"
    if sample.kvm_device is False:
        remedy = remedies.as_root("modprobe kvm_intel || ", user) + remedies.as_root(
            "modprobe kvm_amd", user
        )
        return (
            failure(
                "kvm",
                f"there is no /dev/kvm: turn virtualisation on in the firmware, {emulate}",
                remedy,
            ),
        )
    if sample.libvirt_error is None and sample.virt_types and "kvm" not in sample.virt_types:
        return (failure("kvm", "libvirt offers no KVM", remedies.restart_libvirt(sample, user)),)
    trial = facts.trial.kvm if facts.trial and facts.trial.kvm else facts.kvm
    if trial is None:
        return (unknown("kvm", "/dev/kvm is there; whether it works was not tried"),)
    if trial.alive:
        return (well("kvm", f"it works: {trial.said}"),)
    if trial.alive is False:
        remedy = remedies.as_root("dmesg | grep -i kvm", user)
        return (
            failure("kvm", f"/dev/kvm is there and does not work: {trial.said}; {emulate}", remedy),
        )
    return (
        warning(
            "kvm",
            f"whether it works could not be tried: {trial.said}",
            _try_kvm(facts, trial.said, user),
        ),
    )


def _try_kvm(facts: Facts, said: str, user: str | None) -> str:
    """Give what lets the login try KVM; where it cannot read a kernel, the trial itself."""
    if "/dev/kvm" in said:
        return remedies.join_group("kvm", user)
    emulator = (facts.sample.emulator if facts.sample else None) or "/usr/bin/qemu-system-x86_64"
    boot = (
        f"timeout 20 {emulator} -accel kvm -cpu host -m 256 -nodefaults -display none"
        ' -serial stdio -no-reboot -kernel "/boot/vmlinuz-$(uname -r)" -append'
        " 'panic=-1 quiet console=ttyS0'"
    )
    return remedies.as_root(boot, user)


def grade_clock(facts: Facts) -> Iterable[Finding]:
    """Grade whether the host's clock agrees with ours."""
    sample = facts.sample
    if sample is None or sample.clock_skew is None:
        return (unknown("clock", "the host did not say the time"),)
    skew = sample.clock_skew
    if abs(skew) <= SKEW_WARNS:
        return (well("clock", "it agrees with ours"),)
    text = f"it is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} ours"
    remedy = remedies.keep_time(sample, facts.contact.user or facts.host.user)
    say = failure if abs(skew) > SKEW_FAILS else warning
    return (say("clock", text, remedy),)


def grade_startups(facts: Facts) -> Iterable[Finding]:
    """Grade how many logins may wait at sshd at once."""
    said = facts.sample.max_startups if facts.sample else None
    if facts.host.connection == "local":
        return (unknown("max startups", "this very machine: no sshd is asked"),)
    if said is None:
        return (unknown("max startups", "sshd's configuration does not say, or may not be read"),)
    match = re.match(r"[0-9]{1,9}", said)
    if match is None or int(match[0]) >= FEW_STARTUPS:
        return (well("max startups", said),)
    text = f"{said}: sshd drops logins when more than {match[0]} wait"
    remedy = remedies.more_startups(facts.contact.user or facts.host.user)
    return (warning("max startups", text, remedy),)


def grade_curl(facts: Facts) -> Iterable[Finding]:
    """Grade whether the host can fetch images by itself."""
    if facts.sample is None or "curl" in facts.sample.tools:
        return (well("curl", "images are fetched by the host itself"),)
    remedy = remedies.install("curl", facts.sample, facts.contact.user or facts.host.user)
    return (warning("curl", "not there: images must come by way of this machine", remedy),)


def grade_firmware(facts: Facts) -> Iterable[Finding]:
    """Grade whether machines can boot by UEFI; only a flavor that asks for it makes it a must."""
    sample, need = facts.sample, facts.need
    if sample is None or sample.uefi is None:
        return (unknown("uefi", "libvirt did not say"),)
    remedy = remedies.install("uefi", sample, facts.contact.user or facts.host.user)
    if need is not None and need.secure_boot and not sample.secure_boot:
        return (failure("uefi", f"{need.flavor} asks for secure boot, which is not there", remedy),)
    if sample.uefi:
        return (well("uefi", "there" + (", with secure boot" if sample.secure_boot else "")),)
    if need is not None and need.uefi:
        return (failure("uefi", f"{need.flavor} asks for it and it is not there", remedy),)
    return (unknown("uefi", "not there; only machines that ask for it need it", remedy),)


def grade_tpm(facts: Facts) -> Iterable[Finding]:
    """Grade whether machines can have a TPM; only a flavor that asks for it makes it a must."""
    sample, need = facts.sample, facts.need
    if sample is None or sample.tpm is None:
        return (unknown("tpm", "libvirt did not say"),)
    if sample.tpm:
        return (well("tpm", "there"),)
    remedy = remedies.install("tpm", sample, facts.contact.user or facts.host.user)
    if need is not None and need.tpm:
        return (failure("tpm", f"{need.flavor} asks for it and it is not there", remedy),)
    return (unknown("tpm", "not there; only machines that ask for it need it", remedy),)


def grade_identity(facts: Facts) -> Iterable[Finding]:
    """Grade whether the name stands for the machine it stood for, and for no other name's."""
    sample, before, name = facts.sample, facts.before, facts.host.name
    if sample is None:
        return ()
    user = facts.contact.user or facts.host.user
    findings = []
    if facts.same_machine:
        others = ", ".join(facts.same_machine)
        text = f"it is the same machine as {others}: its room would count twice"
        remedy = f"take one of {name}, {others} out of the inventory"
        findings.append(failure("identity", text, remedy, where="here"))
    if facts.same_machine_id:
        text = f"it has the machine id of {', '.join(facts.same_machine_id)}: cloned disks"
        remedy = remedies.as_root("rm /etc/machine-id", user)
        remedy += " && " + remedies.as_root("systemd-machine-id-setup", user)
        findings.append(warning("identity", text, remedy))
    if before is not None and (
        _changed(before.machine, sample.machine_id) or _changed(before.libvirt, sample.libvirt_uuid)
    ):
        text = (
            "it was reinstalled, or its name now stands for another machine:"
            " servers on record may be gone"
        )
        findings.append(
            Finding(
                step="identity",
                grade="warn",
                text=text,
                remedy=f"vmctl host show {name}",
                where="here",
            )
        )
    return findings or (well("identity", sample.machine_id or sample.libvirt_uuid or "unknown"),)


def _changed(before: str | None, now: str | None) -> bool:
    return before is not None and now is not None and before != now


def grade_cpus(facts: Facts) -> Iterable[Finding]:
    """Grade whether the CPUs that the host is to give out one by one are there."""
    said, there = facts.host.dedicated_cpus, dedicated_on(facts.host, facts.sample)
    if not said:
        return ()
    missing = format_cpus(set(said).difference(there))
    if not missing:
        return (well("cpus", f"{format_cpus(said)} are given out one by one"),)
    text = f"it has no CPUs {missing}, which are not given out then"
    remedy = f"name others in its dedicated_cpus, or none: it is {facts.host.name} in the inventory"
    return (Finding(step="cpus", grade="warn", text=text, remedy=remedy, where="here"),)


def grade_need(facts: Facts) -> Iterable[Finding]:
    """Grade whether a server of the flavor has room on the host."""
    need = facts.need
    if need is None:
        return ()
    if need.free is None:
        return (unknown("flavor", f"{need.flavor}: what is free here is not known"),)
    short = []
    if need.resources.vcpus and need.resources.vcpus > need.free.vcpus:
        short.append(f"needs {need.resources.vcpus} vCPUs, {need.free.vcpus} free")
    if need.resources.dedicated > need.free.dedicated:
        asked, left = need.resources.dedicated, need.free.dedicated
        short.append(f"needs {asked} dedicated CPUs, {left} free")
    for what in ("memory", "disk"):
        wanted, free = getattr(need.resources, what), getattr(need.free, what)
        if wanted > free:
            short.append(f"needs {format_size(wanted)} {what}, {format_size(free)} free")
    if not short:
        return (well("flavor", f"{need.flavor} has room"),)
    remedy = f"vmctl placement explain --flavor {need.flavor}"
    return (failure("flavor", f"{need.flavor} {'; '.join(short)}", remedy, where="here"),)
