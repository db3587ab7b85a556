from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.scheduling import (
    a_flavor,
    a_fleet,
    a_host,
    a_request,
    a_scene,
    amount,
    an_aggregate,
    an_image,
)
from vmctl.scheduler.filters import FILTERS
from vmctl.scheduler.policy import Options, Policy
from vmctl.scheduler.specs import misfit, satisfies

if TYPE_CHECKING:
    from vmctl.domain.fleet import HostState
    from vmctl.domain.request import ImageSpec

CAPABLE = a_host(
    "kvm1",
    hypervisor_type="QEMU",
    hypervisor_version=8002000,
    num_instances=3,
    taken=amount(memory="16GiB"),
    capabilities={
        "cpu_info": json.dumps(
            {"model": "EPYC", "features": ["aes", "avx2"], "maxphysaddr": {"bits": 46}}
        ),
        "tier": "gold",
        "nested": {"on": True},
    },
)


def judged(
    name: str,
    host: HostState,
    specs: dict[str, str] | None = None,
    *metadata: dict[str, str],
    options: Options | None = None,
    **asked: object,
) -> str | None:
    aggregates = [
        an_aggregate(host.name, name=f"a{index}", metadata=each)
        for index, each in enumerate(metadata)
    ]
    request = a_request(a_flavor(extra_specs=specs or {}), **asked)
    fleet = a_fleet(host, aggregates=aggregates)
    (state,), scene = a_scene(fleet, request, Policy(options=options or Options()))
    refusal = FILTERS[name].check(state, request, scene)
    return None if refusal is None else refusal.reason


@pytest.mark.parametrize(
    ("value", "requirement", "holds"),
    [
        ("8", "= 4", True),
        ("4", "= 4", True),
        ("3", "= 4", False),
        ("4.0", "== 4", True),
        ("5", "== 4", False),
        ("5", "!= 4", True),
        ("4", "!= 4", False),
        ("4", ">= 4", True),
        ("4", "<= 3", False),
        ("12", "<= 12", True),
        ("9", ">= 10", False),
        ("a", "s== a", True),
        ("a", "s!= a", False),
        ("9", "s< 10", False),
        ("10", "s< 9", True),
        ("b", "s> a", True),
        ("b", "s<= b", True),
        ("b", "s>= c", False),
        ("abc", "<in> b", True),
        ("abc", "<in> d", False),
        (["aes", "avx"], "<in> avx", True),
        ("aes avx2", "<all-in> aes avx2", True),
        ("aes", "<all-in> aes avx2", False),
        ("b", "<or> a <or> b", True),
        ("c", "<or> a <or> b", False),
        ("a", "<or> a", True),
        ("true", "true", True),
        ("gold", "silver", False),
        ("4", "> 3", False),
        ("> 3", "> 3", True),
        ("3", "< 4", False),
        ("a b", "a b", True),
        ("", "", True),
        ("5", "==", False),
        ("5", "=", False),
        ("a", "<or>", False),
        ("a", "<in>", False),
        (None, "= 1", False),
        (None, "s!= x", False),
        (None, "None", False),
        ("5", "= 4 9", True),
    ],
)
def test_requirements(*, value: object, requirement: str, holds: bool) -> None:
    assert satisfies(value, requirement) == holds
    assert (misfit(value, requirement) is None) == holds


@pytest.mark.parametrize(("value", "requirement"), [("much", ">= 4"), ("4", ">= much")])
def test_what_is_no_number_is_a_reason(value: str, requirement: str) -> None:
    with pytest.raises(ValueError, match="could not convert"):
        satisfies(value, requirement)
    assert "cannot be compared" in str(misfit(value, requirement))


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        ({}, None),
        ({"capabilities:hypervisor_type": "QEMU"}, None),
        ({"capabilities:hypervisor_type": "s== xen"}, "its hypervisor_type is 'QEMU', must be"),
        ({"capabilities:free_ram_mb": ">= 49152"}, None),
        ({"capabilities:free_ram_mb": ">= 49153"}, "its free_ram_mb is '49152', must be"),
        ({"capabilities:cpu_info:model": "EPYC"}, None),
        ({"capabilities:cpu_info:features": "<in> avx2"}, None),
        ({"capabilities:cpu_info:model:name": "EPYC"}, "does not say what its"),
        ({"capabilities:tier": "gold"}, None),
        ({"capabilities:nested:on": "True"}, None),
        ({"capabilities:nothing": "1"}, "does not say what its nothing is, must be '1'"),
        ({"capabilities:cpu_info:nothing": "1"}, "does not say what its"),
        ({"tier": "gold"}, None),
        ({"tier": "silver"}, "its tier is 'gold', must be 'silver'"),
        ({"num_instances": "<= 2"}, "its num_instances is '3', must be"),
        ({"unknown": "anything"}, None),
        ({"hw:cpu_policy": "dedicated"}, None),
        ({"hw:maxphysaddr_bits": "46"}, None),
        ({"hw:maxphysaddr_bits": "48"}, "its cpu_info:maxphysaddr:bits is '46'"),
        ({"capabilities:tier": ">= 4"}, "its tier cannot be compared"),
        ({"capabilities": "x"}, None),
    ],
)
def test_compute_capabilities(specs: dict[str, str], expected: str | None) -> None:
    reason = judged("ComputeCapabilities", CAPABLE, specs)

    assert reason is None if expected is None else str(reason).startswith(expected)


def test_a_host_that_says_nothing_has_no_capabilities() -> None:
    specs = {"capabilities:hypervisor_type": "QEMU"}

    assert judged("ComputeCapabilities", a_host(), specs) is not None
    assert judged("ComputeCapabilities", a_host(), {"hw:maxphysaddr_bits": "40"}) is not None


@pytest.mark.parametrize(
    ("specs", "metadata", "passes"),
    [
        ({}, [], True),
        ({"gpu": "yes"}, [{"gpu": "yes"}], True),
        ({"gpu": "yes"}, [], False),
        ({"gpu": "yes"}, [{"gpu": "no"}], False),
        ({"gpu": "yes"}, [{"gpu": "no"}, {"gpu": "yes"}], True),
        ({"gpu": "yes"}, [{"gpu": "no, yes"}], True),
        ({"aggregate_instance_extra_specs:gpu": ">= 2"}, [{"gpu": "4"}], True),
        ({"aggregate_instance_extra_specs:gpu": ">= 2"}, [{"gpu": "1"}], False),
        ({"aggregate_instance_extra_specs:gpu": ">= 2"}, [{"gpu": "many"}], False),
        ({"aggregate_instance_extra_specs:a:b": "1"}, [{"a:b": "1"}], True),
        ({"hw:gpu": "yes"}, [], True),
        ({"capabilities:gpu": "yes"}, [], True),
        ({"gpu": "yes", "ssd": "yes"}, [{"gpu": "yes"}], False),
    ],
)
def test_aggregate_instance_extra_specs(
    *, specs: dict[str, str], metadata: list[dict[str, str]], passes: bool
) -> None:
    reason = judged("AggregateInstanceExtraSpecs", a_host(), specs, *metadata)

    assert (reason is None) == passes


KVM = a_host(
    supported=(("x86_64", "kvm", "hvm"), ("i686", "qemu", "hvm")), hypervisor_version=8002000
)


@pytest.mark.parametrize(
    ("host", "image", "passes"),
    [
        pytest.param(KVM, None, True, id="no image"),
        pytest.param(KVM, an_image(), True, id="no wishes"),
        pytest.param(KVM, an_image(hw_architecture="x86_64"), True, id="arch"),
        pytest.param(KVM, an_image(hw_architecture="AMD64"), True, id="arch by another name"),
        pytest.param(KVM, an_image(architecture="x86_64"), True, id="arch by the old key"),
        pytest.param(KVM, an_image(hw_architecture="aarch64"), False, id="another arch"),
        pytest.param(KVM, an_image(img_hv_type="KVM", hw_vm_mode="hv"), True, id="canonical"),
        pytest.param(KVM, an_image(img_hv_type="xen"), False, id="another hypervisor"),
        pytest.param(KVM, an_image(hw_vm_mode="xen"), False, id="another mode"),
        pytest.param(
            KVM, an_image(hw_architecture="i686", img_hv_type="kvm"), False, id="all in one triple"
        ),
        pytest.param(
            KVM,
            an_image(img_hv_requested_version=">=99"),
            True,
            id="a version alone is not judged",
        ),
        pytest.param(
            KVM,
            an_image(img_hv_type="kvm", img_hv_requested_version=">=8.2, <9"),
            True,
            id="version",
        ),
        pytest.param(
            KVM,
            an_image(img_hv_type="kvm", img_hv_requested_version=">8.2.0"),
            False,
            id="version too low",
        ),
        pytest.param(
            KVM,
            an_image(img_hv_type="kvm", img_hv_requested_version="!=8.2"),
            False,
            id="8.2 is 8.2.0",
        ),
        pytest.param(
            KVM,
            an_image(img_hv_type="kvm", img_hv_requested_version="about 8"),
            False,
            id="unreadable version",
        ),
        pytest.param(a_host(), an_image(), True, id="nothing reported, nothing asked"),
        pytest.param(
            a_host(), an_image(img_hv_type="kvm"), False, id="nothing reported, something asked"
        ),
        pytest.param(
            a_host(supported=KVM.supported),
            an_image(img_hv_type="kvm", img_hv_requested_version=">=1"),
            False,
            id="no version reported",
        ),
    ],
)
def test_image_properties(*, host: HostState, image: ImageSpec | None, passes: bool) -> None:
    assert (judged("ImageProperties", host, image=image) is None) == passes


@pytest.mark.parametrize(
    ("default", "image", "passes"),
    [
        ("aarch64", None, False),
        ("aarch64", an_image(), False),
        ("x86_64", an_image(), True),
        ("aarch64", an_image(hw_architecture="x86_64"), True),
    ],
)
def test_an_image_without_an_architecture_has_the_default_one(
    *, default: str, image: ImageSpec | None, passes: bool
) -> None:
    options = Options(image_properties_default_architecture=default)

    assert (judged("ImageProperties", KVM, options=options, image=image) is None) == passes


@pytest.mark.parametrize(
    ("query", "passes"),
    [
        ('["=", "$num_instances", 3]', True),
        ('["<", "$num_instances", 3]', False),
        ('["<=", 1, 2, 3]', True),
        ('["<", 2, 3, 1]', False),
        ('[">", "$vcpus_total", 15]', True),
        ('[">=", "$free_ram_mb", 49152]', True),
        ('["in", "$hypervisor_type", "xen", "QEMU"]', True),
        ('["in", "$hypervisor_type", "xen"]', False),
        ('["not", ["=", 1, 2]]', True),
        ('["not", true, false]', True),
        ('["not", true]', False),
        ('["and", ["=", 1, 1], ["=", 2, 2]]', True),
        ('["and", ["=", 1, 1], ["=", 2, 3]]', False),
        ('["or", ["=", 1, 2], ["=", 2, 2]]', True),
        ('["=", 1]', False),
        ('["=", "$unknown", 1]', False),
        ('["=", "$unknown", 1, 1]', True),
        ('["=", "$nested.on", true]', True),
        ('["=", "$nested.off.deep", true, true]', True),
        ('["in", 1]', False),
        ("[]", True),
        ('["nope", 1, 2]', False),
        ('["<", "a", 1]', False),
        ('[["="], 1, 2]', False),
        ('{"=": [1, 1]}', False),
        ("not json", False),
        ("3", False),
        (["=", 1, 1], True),
        ("[" * 2000 + "]" * 2000, False),
    ],
)
def test_json(*, query: object, passes: bool) -> None:
    assert (judged("Json", CAPABLE, hints={"query": query}) is None) == passes


def test_a_query_that_cannot_be_read_says_so() -> None:
    reason = judged("Json", CAPABLE, hints={"query": '["near", 1, 2]'})

    assert reason == (
        "the hint query cannot be answered: 'near' is none of = < > <= >= in not or and"
    )


def test_without_a_query_every_host_passes() -> None:
    assert judged("Json", CAPABLE) is None


BARE = {"uefi": False, "secure_boot": False, "tpm": False, "hugepages_free": 512}
ABLE = {"uefi": True, "secure_boot": True, "tpm": True, "hugepages_free": 4096}


@pytest.mark.parametrize(
    ("properties", "specs", "why"),
    [
        ({"hw_firmware_type": "uefi"}, {}, "offers no UEFI firmware"),
        ({"os_secure_boot": "required"}, {}, "offers no UEFI firmware"),
        ({}, {"hw:tpm_version": "2.0"}, "offers no emulated TPM: swtpm is not installed there"),
        (
            {},
            {"hw:mem_page_size": "large"},
            "needs 2048 MiB of hugepages, 512 MiB of them free",
        ),
    ],
    ids=["uefi", "secure boot", "tpm", "hugepages"],
)
def test_a_host_that_cannot_make_the_machine_is_passed_over(
    properties: dict[str, str], specs: dict[str, str], why: str
) -> None:
    image = an_image(**properties)

    assert judged("Machine", a_host(capabilities=BARE), specs, image=image) == why
    assert judged("Machine", a_host(capabilities=ABLE), specs, image=image) is None
    untold = judged("Machine", a_host(), specs, image=image)
    assert untold is None, "what it does not say is left to libvirt"


def test_a_machine_like_any_other_is_made_anywhere() -> None:
    assert judged("Machine", a_host(capabilities=BARE), image=an_image()) is None
