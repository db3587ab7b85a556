"""`host check`: what a host lacks is named by its own step, with the command that mends it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.checks import DEBIAN, HOST, LAN, NAT, ROCKY, SHAKY, TRIAL, WELL, found, seen
from vmctl.domain import remedies
from vmctl.domain.check import exit_code
from vmctl.domain.check_facts import Identity, KvmTrial, Need, Tried
from vmctl.domain.check_steps import check
from vmctl.domain.host import Pool
from vmctl.domain.resources import Resources
from vmctl.domain.sample import FoundBridge, FoundNetwork, FoundPool


@pytest.mark.parametrize(
    ("changes", "grade", "word"),
    [
        ({"libvirt_version": "5.0.0"}, "fail", "libvirt 5.0.0 is too old: 6.0 is needed"),
        ({"qemu_version": "5.1.0"}, "warn", "QEMU 5.1.0 is old"),
        ({"qemu_version": None}, "fail", "no QEMU"),
    ],
)
def test_old_versions_are_told(changes: dict[str, object], grade: str, word: str) -> None:
    assert word in found(seen(**changes), "versions", grade).text


@pytest.mark.parametrize(
    ("kvm", "grade", "remedy"),
    [
        (KvmTrial(alive=False, said="a kernel hung"), "fail", "sudo dmesg"),
        (
            KvmTrial(alive=None, said="the login may not open /dev/kvm"),
            "warn",
            "sudo usermod -aG kvm ops",
        ),
        (
            KvmTrial(alive=None, said="the login may not read /boot/vmlinuz-6.8"),
            "warn",
            "sudo timeout 20 /usr/bin/qemu-system-x86_64 -accel kvm",
        ),
        (None, "skip", None),
    ],
    ids=["dead", "device refused", "kernel unreadable", "not tried"],
)
def test_a_kvm_that_is_there_is_not_yet_one_that_works(
    kvm: KvmTrial | None, grade: str, remedy: str | None
) -> None:
    facts = replace(WELL, trial=replace(TRIAL, kvm=kvm))

    assert (found(facts, "kvm", grade).remedy or "").startswith(remedy or "")


def test_an_earlier_trial_of_the_same_boot_counts() -> None:
    facts = replace(
        WELL, trial=replace(TRIAL, kvm=None), kvm=KvmTrial(alive=True, said="tried at this boot")
    )

    assert "tried at this boot" in found(facts, "kvm", "pass").text


def test_cpus_that_a_host_has_not_are_told() -> None:
    facts = replace(
        seen(cpus=4, cpus_online="0-3"), host=replace(HOST, dedicated_cpus=(2, 3, 4, 7))
    )

    finding = found(facts, "cpus", "warn")
    assert (finding.text, finding.where) == (
        "it has no CPUs 4,7, which are not given out then",
        "here",
    )
    assert "dedicated_cpus" in (finding.remedy or "")
    assert found(replace(facts, host=replace(HOST, dedicated_cpus=(2, 3))), "cpus", "pass")


def test_a_host_that_emulates_needs_no_kvm() -> None:
    facts = replace(seen(kvm_device=False), host=replace(HOST, virt_type="qemu"))

    assert found(facts, "kvm", "skip")
    assert found(seen(kvm_device=False), "kvm", "fail")


POOL = FoundPool(
    name="default",
    type="dir",
    path="/var/lib/libvirt/images",
    active=True,
    autostart=True,
    capacity=90000,
    available=50000,
    file_system="ext4",
)


@pytest.mark.parametrize(
    ("pool", "shared", "grade", "word", "remedy"),
    [
        (None, None, "fail", "not there", "pool-define-as --type dir --target"),
        (replace(POOL, active=False), None, "fail", "not active", "pool-start default"),
        (replace(POOL, available=100), None, "fail", "full: 100 MiB free of", "df -h"),
        (replace(POOL, file_system="nfs4"), None, "warn", "network file system", "shared: default"),
        (replace(POOL, file_system="nfs4"), "san", "pass", "48.8 GiB free of 87.9 GiB", ""),
        (POOL, "san", "warn", "said to be shared and is on ext4", "df -h"),
    ],
    ids=["missing", "inactive", "full", "nfs", "shared nfs", "not shared"],
)
def test_each_pool_is_there_active_with_room_and_where_it_should_be(
    pool: FoundPool | None, shared: str | None, grade: str, word: str, remedy: str
) -> None:
    facts = replace(
        seen(pools=(pool,) if pool else ()),
        host=replace(HOST, pools=(Pool(name="default", default=True, shared=shared),)),
    )

    finding = found(facts, "pools", grade)
    assert word in finding.text
    assert remedy in (finding.remedy or "")


@pytest.mark.parametrize(
    ("changes", "word", "remedy"),
    [
        ({"bridges": ()}, "no bridge br-lan", "sudo ip link add br-lan type bridge"),
        ({"networks": ()}, "no network default", "net-define"),
        (
            {"networks": (FoundNetwork(name="default", active=False),)},
            "not active",
            "virsh -c qemu:///system net-start default",
        ),
    ],
)
def test_a_network_that_is_not_carried_is_told(
    changes: dict[str, object], word: str, remedy: str
) -> None:
    finding = found(seen(**changes), "networks", "fail")

    assert word in finding.text
    assert remedy in (finding.remedy or "")


def test_a_network_that_cannot_tag_is_told() -> None:
    found_there = FoundNetwork(name="default", active=True, bridge="virbr0", forward="nat")
    nat = replace(next(one for one in WELL.networks if one.name == "default"), vlan=42)

    facts = replace(seen(networks=(found_there,)), networks=(nat,))

    assert "VLAN 42" in found(facts, "networks", "fail").text


def test_a_network_that_the_inventory_withholds_is_mended_there() -> None:
    facts = replace(WELL, host=replace(HOST, networks=("default",)))

    assert found(facts, "networks", "fail").where == "here"


UNFILTERED = {"bridge_filter": False, "bridge_filter6": False}


@pytest.mark.parametrize(
    ("changes", "open_to"),
    [
        (UNFILTERED, "IPv4 and IPv6 on bridge br-lan would pass unfiltered (bridge-nf-call is 0)"),
        ({"bridge_filter6": False}, "lan: IPv6 on bridge br-lan"),
        (
            {"bridge_filter": None, "bridge_filter6": None},
            "(br_netfilter is not loaded)",
        ),
    ],
)
def test_a_bridge_that_passes_everything_fails_with_the_sysctl(
    changes: dict[str, object], open_to: str
) -> None:
    finding = found(replace(seen(**changes), networks=(LAN,)), "security groups", "fail")

    assert open_to in finding.text
    assert "modprobe br_netfilter" in (finding.remedy or "")
    assert "/etc/sysctl.d/90-vmctl.conf" in (finding.remedy or "")


def test_a_bridge_may_be_filtered_by_its_own_setting() -> None:
    bridge = FoundBridge(name="br-lan", filtered=True, filtered6=True)
    facts = replace(seen(**UNFILTERED, bridges=(bridge,)), networks=(LAN,))

    assert found(facts, "security groups", "pass")


def test_a_network_without_security_group_needs_no_filter() -> None:
    facts = replace(seen(**UNFILTERED), networks=(SHAKY,))

    assert found(facts, "security groups", "skip")


def test_filters_need_their_tools_and_libvirts_driver() -> None:
    no_tool = found(seen(tools=("curl", "iptables")), "security groups", "fail")
    fault = Tried(step="nwfilter", fault="no connection driver")
    no_driver = found(
        replace(WELL, trial=replace(TRIAL, nwfilter=fault)), "security groups", "fail"
    )

    assert "apt-get install -y iptables ebtables" in (no_tool.remedy or "")
    assert "no connection driver" in no_driver.text


@pytest.mark.parametrize(
    ("skew", "grade", "word"),
    [(2.0, "pass", "agrees"), (-20.0, "warn", "20 s behind"), (90.0, "fail", "90 s ahead of")],
)
def test_a_clock_that_is_off_is_told_by_how_much(skew: float, grade: str, word: str) -> None:
    facts = seen(clock=DEBIAN.taken_at + skew)

    assert word in found(facts, "clock", grade).text


@pytest.mark.parametrize(
    ("said", "grade"), [("10:30:100", "pass"), ("100", "pass"), ("3:30:10", "warn"), (None, "skip")]
)
def test_few_logins_at_once_are_a_warning(said: str | None, grade: str) -> None:
    assert found(seen(max_startups=said), "max startups", grade)


def test_what_does_not_start_by_itself_is_a_warning_each() -> None:
    facts = seen(
        pools=(replace(POOL, autostart=False),),
        networks=(FoundNetwork(name="default", active=True, autostart=False),),
    )

    remedy = [one.remedy for one in check(facts) if one.step == "autostart"]
    assert remedy == [
        "virsh -c qemu:///system pool-autostart default",
        "virsh -c qemu:///system net-autostart default",
    ]


def test_a_host_without_curl_is_a_warning() -> None:
    assert found(seen(tools=("iptables", "ebtables")), "curl", "warn").remedy == (
        "sudo apt-get install -y curl"
    )


def test_firmware_and_tpm_are_a_must_only_if_asked_for() -> None:
    bare = seen(uefi=False, secure_boot=False, tpm=False)
    need = Need(flavor="win", resources=Resources(), uefi=True, tpm=True)

    assert exit_code(check(bare)) == 0
    assert found(bare, "uefi", "skip").remedy == "sudo apt-get install -y ovmf"
    asked = replace(bare, need=need)
    assert "win asks for it" in found(asked, "uefi", "fail").text
    assert found(asked, "tpm", "fail").remedy == "sudo apt-get install -y swtpm swtpm-tools"
    secure = replace(seen(secure_boot=False), need=replace(need, secure_boot=True))
    assert "secure boot" in found(secure, "uefi", "fail").text


def test_one_machine_under_two_names_fails_and_a_reinstalled_one_warns() -> None:
    assert "kvm7" in found(replace(WELL, same_machine=("kvm7",)), "identity", "fail").text
    assert found(replace(WELL, same_machine_id=("kvm8",)), "identity", "warn").remedy == (
        "sudo rm /etc/machine-id && sudo systemd-machine-id-setup"
    )
    before = Identity(machine="another", libvirt=DEBIAN.libvirt_uuid)
    assert "reinstalled" in found(replace(WELL, before=before), "identity", "warn").text
    same = Identity(machine=DEBIAN.machine_id, libvirt=DEBIAN.libvirt_uuid)
    assert found(replace(WELL, before=same), "identity", "pass")


def test_a_flavor_that_does_not_fit_says_what_is_short() -> None:
    need = Need(
        flavor="m1.large",
        resources=Resources(vcpus=4, memory=8192, disk=81920),
        free=Resources(vcpus=8, memory=3277, disk=90000),
    )

    finding = found(replace(WELL, need=need), "flavor", "fail")
    assert finding.text == "m1.large needs 8 GiB memory, 3.2 GiB free"
    room = replace(need, free=Resources(vcpus=4, memory=8192, disk=81920))
    assert found(replace(WELL, need=room), "flavor", "pass")


def test_the_second_stack_is_a_step_of_its_own() -> None:
    facts = replace(WELL, library=Tried(fault="ssh: Could not resolve hostname"))

    finding = found(facts, "both stacks", "fail")
    assert (finding.remedy, finding.where) == (
        "virsh -c 'qemu+ssh://ops@192.0.2.2/system?no_tty=1' uri",
        "here",
    )


def test_rocky_9_is_asked_for_its_own_remedies() -> None:
    facts = replace(WELL, sample=ROCKY, networks=(NAT,))

    assert remedies.modular(ROCKY)
    assert "modular" in found(facts, "libvirt", "pass").text
    assert found(facts, "security groups", "fail").remedy == "sudo dnf install -y iptables-nft"
