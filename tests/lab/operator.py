"""What the operator of the lab gets: a key, known hosts, ssh configuration, inventory."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.lab.plan import CHECKOUT, NEIGHBOUR, HostPlan, LabPlan, lan_v6, network
from tests.lab.shell import run

SSH = """\
#!/bin/sh
# The ssh that libvirt runs when a URI says command=: it knows the lab's hosts.
exec ssh -F '{config}' "$@"
"""

SSH_SUDO = """\
#!/bin/bash
# The same for a login that may do nothing but sudo: the last word is what runs on the host.
exec ssh -F '{config}' "${{@:1:$#-1}}" "sudo -n ${{@: -1}}"
"""

FILES = ("known_hosts", "ssh_config", "inventory.yaml", "env.sh", "ssh", "ssh-sudo")


def make_key(plan: LabPlan) -> str:
    """The operator's public key; made once."""
    if not plan.key.exists():
        plan.key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "operator@lab", "-f", plan.key)
    return plan.key.with_suffix(".pub").read_text()


def write_files(plan: LabPlan) -> None:
    """Write all that is needed to talk to the hosts, once their keys exist."""
    plan.known_hosts.write_text("".join(_known(host) for host in plan.hosts))
    plan.ssh_config.write_text("\n".join(_ssh(plan, host) for host in plan.hosts))
    (plan.root / "inventory.yaml").write_text(_inventory(plan))
    (plan.root / "env.sh").write_text(_env(plan))
    for name, script in (("ssh", SSH), ("ssh-sudo", SSH_SUDO)):
        wrapper = plan.root / name
        wrapper.write_text(script.format(config=plan.ssh_config))
        wrapper.chmod(0o755)


def hand_over(plan: LabPlan) -> None:
    """Give these files to whoever called sudo, since ssh reads no key that others own."""
    uid, gid = int(os.environ.get("SUDO_UID", "0")), int(os.environ.get("SUDO_GID", "0"))
    if not uid:
        return
    mine = [plan.root, plan.root / "hosts", plan.key.parent, plan.key, plan.key.with_suffix(".pub")]
    mine += [plan.root / name for name in FILES]
    for path in filter(Path.exists, mine):
        os.chown(path, uid, gid)


def libvirt_uri(plan: LabPlan, host: HostPlan) -> str:
    """A URI with which plain virsh reaches this host."""
    wrapper = plan.root / ("ssh-sudo" if host.login == "admin" else "ssh")
    return f"qemu+ssh://{host.name}/system?no_tty=1&command={wrapper}"


def _known(host: HostPlan) -> str:
    key = (host.dir / "root/etc/ssh/ssh_host_ed25519_key.pub").read_text().split()
    return f"{host.name},{host.address} {key[0]} {key[1]}\n"


def _ssh(plan: LabPlan, host: HostPlan) -> str:
    jump = f"    ProxyJump {host.behind}\n" if host.behind else ""
    return f"""\
Host {host.name}
    HostName {host.address}
    User {host.login}
{jump}    IdentityFile {plan.key}
    IdentitiesOnly yes
    IdentityAgent none
    UserKnownHostsFile {plan.known_hosts}
    GlobalKnownHostsFile none
    StrictHostKeyChecking yes
    ControlMaster no
    ControlPath none
"""


def _inventory(plan: LabPlan) -> str:
    """The inventory: the host behind the jump host is an ssh alias, the others have addresses."""
    lines = [
        "# Written by the lab at each start.",
        "defaults:",
        "  virt_type: qemu",
        "  identity_file: keys/id_ed25519",
        "  known_hosts: known_hosts",
        "  pools: [{name: default, default: true}]",
        "  networks: [default, lan]",
        "",
        "hosts:",
    ]
    for host in plan.hosts:
        vcpus, memory, disk = host.capacity
        lines.append(f"  {host.name}:")
        if host.behind:
            lines += [f"    address: {host.name}", "    ssh_config: ssh_config"]
        else:
            lines += [f"    address: {host.address}", f"    user: {host.login}"]
        if host.login == "admin":
            lines.append("    become: sudo")
        lines += [
            f"    zone: {'az1' if host.number % 2 else 'az2'}",
            f"    labels: {{rack: r{(host.number + 1) // 2}}}",
            f"    capacity: {{vcpus: {vcpus}, memory: {memory}, disk: {disk}}}",
        ]
    lan, six = network(plan.lab, "lan"), lan_v6(plan.lab)
    lines += [
        "",
        "networks:",
        "  default:",
        "    source: {network: default}",
        "    cidrs: [192.168.122.0/24]",
        "    gateway: [192.168.122.1]",
        "    dns: [192.168.122.1]",
        "    addressing: dhcp",
        "    default: true",
        "  lan:",
        "    source: {bridge: br-lan}",
        f"    cidrs: [{lan}.0/24, '{six}/64']",
        f"    gateway: [{lan}.1, '{six}1']",
        f"    allocation_pool: [{lan}.100-{lan}.199, '{six}100-{six}199']",
        f"    exclude: [{lan}.{NEIGHBOUR}, '{six}{NEIGHBOUR}']",
        "    addressing: static",
        "    arbiter: kvm1",
    ]
    return "\n".join(lines) + "\n"


def _env(plan: LabPlan) -> str:
    bin_dir = Path(sys.prefix) / "bin" if sys.prefix != sys.base_prefix else CHECKOUT / ".venv/bin"
    return f"""\
# source this: then plain vmctl, ssh -F and virsh talk to the lab
export VMCTL_INVENTORY='{plan.root}/inventory.yaml'
export VMCTL_DB='{plan.root}/state.db'
export VMCTL_LAB_SSH_CONFIG='{plan.ssh_config}'
case ":$PATH:" in *":{bin_dir}:"*) ;; *) export PATH='{bin_dir}':"$PATH" ;; esac
"""
