"""Grading how a host is reached and entered, and what its login may do there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from vmctl.domain import remedies
from vmctl.domain.check import Finding, failure, unknown, warning, well

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vmctl.domain.check_facts import Facts, Reach

_ORDER: tuple[Reach, ...] = ("name", "tcp", "host key", "login")


def _reach(
    facts: Facts,
    step: Reach,
    passed: str,
    remedy: str | None,
    where: Literal["host", "here"] = "here",
) -> tuple[Finding]:
    """Grade one step of reaching the host: what failed later has passed this one."""
    if facts.host.connection == "local":
        return (well(step, "this very machine"),)
    failed = facts.contact.failed
    if failed is None or _ORDER.index(step) < _ORDER.index(failed):
        return (well(step, passed),)
    return (failure(step, facts.contact.said or "failed", remedy, where=where),)


def grade_name(facts: Facts) -> Iterable[Finding]:
    """Grade whether the host's address means anything here."""
    host, address = facts.host, facts.contact.address
    passed = f"{host.address} is {address}" if address else f"{host.address} is known to ssh"
    return _reach(
        facts, "name", passed, f"ssh -G {host.address} | grep -i -E '^(hostname|proxyjump)'"
    )


def grade_port(facts: Facts) -> Iterable[Finding]:
    """Grade whether something answers at the ssh port."""
    contact = facts.contact
    address = contact.address or facts.host.address
    passed = f"{address} answers at port {contact.port}"
    if contact.said.startswith("its jump host"):
        # From here the host itself cannot be reached anyway: its own way has to be tried.
        return _reach(facts, "tcp", passed, f"vmctl host ssh {facts.host.name} -- true")
    match contact.reason:
        case "silent" | "refused":
            return _reach(facts, "tcp", passed, remedies.restart_ssh(contact.user), "host")
        case "dropped":
            return _reach(facts, "tcp", passed, remedies.more_startups(contact.user), "host")
    return _reach(facts, "tcp", passed, f"nc -vz -w 5 {address} {contact.port}")


def grade_key(facts: Facts) -> Iterable[Finding]:
    """Grade whether the host's key is the one that was pinned."""
    contact = facts.contact
    said = f"{contact.key}: it is the pinned one" if contact.key else "it is the pinned one"
    remedy = f"vmctl host trust {facts.host.name}"
    if contact.reason == "changed" and contact.key:
        remedy += f" --fingerprint {contact.key}"
    return _reach(facts, "host key", said, None if contact.reason == "revoked" else remedy)


def grade_login(facts: Facts) -> Iterable[Finding]:
    """Grade whether the login is let in."""
    host, contact = facts.host, facts.contact
    user = contact.user or host.user
    words = ["ssh-copy-id"]
    if host.identity_file:
        words += ["-i", host.identity_file]
    if host.port:
        words += ["-p", str(host.port)]
    target = f"{user}@{host.address}" if user else host.address
    return _reach(
        facts, "login", f"{user} is let in" if user else "let in", " ".join([*words, target])
    )


def grade_look(facts: Facts) -> Iterable[Finding]:
    """Grade whether the login runs what it is given, with sudo where the inventory says so."""
    sample, host = facts.sample, facts.host
    if sample is None:
        said = facts.sample_fault or "the host was not looked at"
        user = facts.contact.user or host.user or "USER"
        if host.become == "sudo" and "sudo" in said:
            rule = f"{user} ALL=(root) NOPASSWD: ALL"
            remedy = f"echo '{rule}' | sudo tee /etc/sudoers.d/vmctl"
            return (failure("look", said, remedy),)
        return (failure("look", said, f"sudo usermod -s /bin/sh {user}"),)
    kind = " ".join(filter(None, (sample.os_name, sample.os_version, sample.arch)))
    if "the answer ends early" in sample.problems:
        return (
            warning("look", f"{kind}; its answer ended early", f"vmctl host check {host.name}"),
        )
    return (well("look", kind or "it answers"),)


_GROUP_HINTS = (
    "Permission denied",
    "authentication unavailable",
    "authentication failed",
    "access denied",
    "polkit",
)


def grade_libvirt(facts: Facts) -> Iterable[Finding]:
    """Grade whether libvirt answers this login, whichever way its daemons are cut."""
    sample, user = facts.sample, _user(facts)
    if sample is None:
        return ()
    kind = "modular daemons" if remedies.modular(sample) else "one daemon"
    said = sample.libvirt_error
    if said is None:
        return (well("libvirt", f"it answers ({kind})"),)
    if "not installed" in said:
        return (failure("libvirt", said, remedies.install("libvirt", sample, user)),)
    if "did not answer" in said:
        return (failure("libvirt", f"{said} ({kind})", remedies.restart_libvirt(sample, user)),)
    if not sample.sockets_seen:
        return (
            failure(
                "libvirt",
                f"no socket of libvirt's is there: {said}",
                remedies.start_libvirt(sample, user),
            ),
        )
    if any(hint in said for hint in _GROUP_HINTS):
        return (failure("libvirt", f"{said} ({kind})", remedies.join_group("libvirt", user)),)
    if "Failed to connect" in said:
        return (failure("libvirt", f"{said} ({kind})", remedies.start_libvirt(sample, user)),)
    return (failure("libvirt", f"{said} ({kind})", remedies.libvirt_log(sample, user)),)


def grade_lease(facts: Facts) -> Iterable[Finding]:
    """Grade whether the login can hold the lease that keeps two operators apart."""
    tried = facts.trial.lease if facts.trial else None
    if tried is None:
        return (unknown("lease", "not tried"),)
    if tried.fault is None:
        return (well("lease", "it can be held"),)
    if tried.fault == "refused":
        return (well("lease", "someone else holds it just now"),)
    if "not there" in tried.fault or ("No such file" in tried.fault and "flock" in tried.fault):
        return (
            failure("lease", tried.fault, remedies.install("flock", facts.sample, _user(facts))),
        )
    if "No such file" in tried.fault:
        return (
            failure("lease", tried.fault, remedies.install("libvirt", facts.sample, _user(facts))),
        )
    return (
        failure("lease", tried.fault, remedies.as_root("chmod 755 /var/lib/libvirt", _user(facts))),
    )


def grade_volumes(facts: Facts) -> Iterable[Finding]:
    """Grade whether a volume can be made, written, read and deleted in each pool."""
    if facts.trial is None:
        return (unknown("volumes", "not tried"),)
    findings = []
    for pool in facts.host.pools:
        tried = facts.trial.volume(pool.name)
        found = facts.sample.pool(pool.name) if facts.sample else None
        if tried is None:
            findings.append(unknown("volumes", f"{pool.name}: not tried"))
        elif tried.fault is None:
            findings.append(well("volumes", f"{pool.name}: made, written, read and deleted"))
        elif found is None or not found.active:
            findings.append(unknown("volumes", f"{pool.name}: {tried.fault}"))
        else:
            text = f"{pool.name}: {tried.step} failed: {tried.fault}"
            findings.append(failure("volumes", text, remedies.virsh("pool-refresh", pool.name)))
    return findings


def grade_console(facts: Facts) -> Iterable[Finding]:
    """Grade whether the console log can be read: it is a volume, so that no root is needed."""
    tried = facts.trial.volume(facts.host.default_pool.name) if facts.trial else None
    if tried is None or tried.fault is not None:
        return (unknown("console log", "not tried: it is a volume of the default pool"),)
    return (well("console log", "it can be read as a volume of the default pool"),)


def grade_library(facts: Facts) -> Iterable[Finding]:
    """Grade whether libvirt's own connection works too, which the system's ssh carries."""
    host = facts.host
    if facts.library is None:
        return (unknown("both stacks", "not tried"),)
    if facts.library.fault is None:
        return (well("both stacks", "commands by ssh and libvirt's own connection both work"),)
    target = f"{host.user}@{host.address}" if host.user else host.address
    remedy = f"virsh -c 'qemu+ssh://{target}/system?no_tty=1' uri"
    return (
        failure(
            "both stacks", f"libvirt's own connection: {facts.library.fault}", remedy, where="here"
        ),
    )


def _user(facts: Facts) -> str | None:
    """Name whoever logs in; who a trial under sudo ran as says nothing of it."""
    named = facts.contact.user or facts.host.user
    if named is None and facts.host.become == "none" and facts.trial:
        return facts.trial.user
    return named
