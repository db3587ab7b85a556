"""How the scheduler decides: which filters and weighers, and the knobs that they read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import cast

from vmctl.errors import UsageError

DEFAULT_FILTERS = (
    "AvailabilityZone",
    "Compute",
    "Ram",
    "Core",
    "Disk",
    "ComputeCapabilities",
    "ImageProperties",
    "Machine",
    "Network",
    "Pool",
    "Name",
    "ServerGroupAntiAffinity",
    "ServerGroupAffinity",
)
DEFAULT_WEIGHERS: Mapping[str, float] = MappingProxyType(
    {
        "RAM": 1.0,
        "CPU": 1.0,
        "Disk": 1.0,
        "IoOps": -1.0,
        "BuildFailure": 1_000_000.0,
        "ServerGroupSoftAffinity": 1.0,
        "ServerGroupSoftAntiAffinity": 1.0,
        "ImageLocality": 1.0,
    }
)
TIES = ("hash", "order")
LARGEST = 1e300  # a weight is a sum of products: anything larger might become infinite


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What single filters and weighers go by, each under the name that Nova gives it, or ours.

    `max_sample_age` is in seconds; the pressure limits are percent, and load per vCPU.
    """

    default_availability_zone: str = "nova"
    max_sample_age: float = 60.0
    max_instances_per_host: int = 50
    max_io_ops_per_host: int = 8
    isolated_images: tuple[str, ...] = ()
    isolated_hosts: tuple[str, ...] = ()
    restrict_isolated_hosts_to_isolated_images: bool = True
    image_properties_default_architecture: str | None = None
    max_pressure: float = 40.0
    max_load: float = 2.0
    max_steal: float = 20.0
    spread_label: str = "rack"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The filters in their order, the weighers with their multipliers, and how to choose.

    One of the best `host_subset_size` hosts is taken, at random by the request's seed. Each server
    has up to `max_attempts` - 1 alternates. Among equals, `tie` takes the earliest of the fleet
    (`order`) or one that the seed decides (`hash`).
    """

    filters: tuple[str, ...] = DEFAULT_FILTERS
    weighers: Mapping[str, float] = field(default_factory=lambda: DEFAULT_WEIGHERS)
    host_subset_size: int = 1
    max_attempts: int = 3
    tie: str = "hash"
    options: Options = field(default=Options())


def plain_name(name: str, suffix: str) -> str:
    """The name without Nova's optional suffix: `RamFilter` is `Ram`, `RAMWeigher` is `RAM`."""
    return name.removesuffix(suffix) or name


def policy_from(settings: Mapping[str, object], *, where: str = "policy") -> Policy:
    """Build a policy from settings as a file gives them, or say everything that is wrong with them.

    Whether a filter or weigher of such a name exists is not asked here: it may be a plug-in's.
    """
    problems: list[str] = []
    policy = read_policy(settings, where, problems)
    if problems:
        raise UsageError("\n".join(problems))
    return policy


def read_policy(settings: Mapping[str, object], where: str, problems: list[str]) -> Policy:
    """Build a policy as `policy_from` does, and add what is wrong to the problems found so far."""
    known = {"filters", "weighers", "host_subset_size", "max_attempts", "tie", "options"}
    problems += [f"{where}.{key}: no such key" for key in settings if key not in known]
    subset = settings.get("host_subset_size")
    attempts = settings.get("max_attempts")
    tie = settings.get("tie", "hash")
    for key, number in (("host_subset_size", subset), ("max_attempts", attempts)):
        if number is not None and (type(number) is not int or number < 1):
            problems.append(f"{where}.{key}: must be a whole number from 1 on, not {number!r}")
    if tie not in TIES:
        problems.append(f"{where}.tie: must be order or hash, not {tie!r}")
    return Policy(
        filters=_filters(settings.get("filters"), f"{where}.filters", problems),
        weighers=_weighers(settings.get("weighers"), f"{where}.weighers", problems),
        host_subset_size=subset if isinstance(subset, int) else 1,
        max_attempts=attempts if isinstance(attempts, int) else 3,
        tie=str(tie),
        options=_options(settings.get("options"), f"{where}.options", problems),
    )


def _filters(named: object, where: str, problems: list[str]) -> tuple[str, ...]:
    if named is None:
        return DEFAULT_FILTERS
    if not isinstance(named, list | tuple) or not all(isinstance(name, str) for name in named):
        problems.append(f"{where}: must be a list of names, not {named!r}")
        return ()
    names = tuple(plain_name(name, "Filter") for name in named)
    problems += [
        f"{where}: {name} is named twice" for name in dict.fromkeys(names) if names.count(name) > 1
    ]
    return names


def _weighers(named: object, where: str, problems: list[str]) -> Mapping[str, float]:
    if named is None:
        return DEFAULT_WEIGHERS
    if not isinstance(named, Mapping):
        problems.append(f"{where}: must map names to multipliers, not {named!r}")
        return {}
    weighers: dict[str, float] = {}
    for given, multiplier in named.items():
        name = plain_name(str(given), "Weigher")
        if name in weighers:
            problems.append(f"{where}: {name} is named twice")
        number = isinstance(multiplier, int | float) and not isinstance(multiplier, bool)
        if number and -LARGEST <= multiplier <= LARGEST:
            weighers[name] = float(multiplier)
        else:
            problems.append(f"{where}.{given}: must be a number, not {multiplier!r}")
    return MappingProxyType(weighers)


def _options(named: object, where: str, problems: list[str]) -> Options:
    if named is None:
        return Options()
    if not isinstance(named, Mapping):
        problems.append(f"{where}: must map names to values, not {named!r}")
        return Options()
    values: dict[str, object] = {}
    checks = {each.name: _WANTED[str(each.type)] for each in fields(Options)}
    for key, value in named.items():
        if key not in checks:
            problems.append(f"{where}.{key}: no such key")
            continue
        wanted, fits = checks[key]
        if fits(value):
            values[key] = tuple(cast("list[str]", value)) if isinstance(value, list) else value
        else:
            problems.append(f"{where}.{key}: must be {wanted}, not {value!r}")
    return Options(**values)  # type: ignore[arg-type]  # each was checked above


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and 0 <= cast("float", value) <= LARGEST


def _are_names(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)


_WANTED: Mapping[str, tuple[str, Callable[[object], bool]]] = {
    "str": ("a text", lambda value: isinstance(value, str)),
    "str | None": ("a text or null", lambda value: value is None or isinstance(value, str)),
    "bool": ("true or false", lambda value: isinstance(value, bool)),
    "int": (
        "a whole number from 0 on",
        lambda value: type(value) is int and value >= 0,
    ),
    "float": ("a number from 0 on", _is_number),
    "tuple[str, ...]": ("a list of names", _are_names),
}
