"""The seed: a small ISO image that tells a guest who it is and what to do when it first starts.

The same server gives the same bytes: whoever finds a seed can tell whether it is whole.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pycdlib
from pycdlib.pycdlibexception import PyCdlibException, PyCdlibInvalidInput

from vmctl.adapters.render.guest_network import links, network_data, version_2
from vmctl.adapters.render.user_data import as_yaml, user_data
from vmctl.errors import UsageError, VmctlError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.adapters.render.guest_network import Link
    from vmctl.domain.build import Build
    from vmctl.domain.network import Network
    from vmctl.domain.spec import Secrets, ServerSpec

OPENSTACK_VERSIONS = ("2018-08-27", "latest")
"""The folders of a config drive: guests take the newest that they know."""

_MOMENT = 315_532_800.0
"""When every seed was made: the first day of 1980."""


def seed(
    spec: ServerSpec, build: Build, networks: Mapping[str, Network], secrets: Secrets
) -> bytes:
    """Write the seed image of the kind that the server asks for."""
    write = _KINDS.get(spec.seed or "")
    if write is None:
        raise UsageError(f"there is no seed of the kind {spec.seed!r}: {', '.join(_KINDS)}")
    found = links(build, networks)
    label, files = write(spec, _Told(found, _tagged(build), user_data(spec, build, secrets)))
    return iso(label, files)


@dataclass(frozen=True, slots=True)
class _Told:
    """What a seed of any kind tells, beside what the server is."""

    links: tuple[Link, ...]
    devices: list[dict[str, object]]
    user_data: bytes


def _tagged(build: Build) -> list[dict[str, object]]:
    """Give the cards that bear a tag, in the form in which OpenStack's guests look for them."""
    return [
        {"type": "nic", "bus": "none", "address": "none", "mac": card.mac, "tags": [card.tag]}
        for card in build.cards
        if card.tag
    ]


def _nocloud(spec: ServerSpec, told: _Told) -> tuple[str, dict[str, bytes]]:
    meta: dict[str, object] = {
        # The server's own id and no attempt's: what is to happen once happens once.
        "instance-id": spec.id,
        "local-hostname": spec.hostname or spec.name,
    }
    if spec.public_key:
        meta["public-keys"] = [spec.public_key]
    if spec.availability_zone:
        meta["availability-zone"] = spec.availability_zone
    if spec.properties:
        meta["meta"] = dict(spec.properties)
    if told.devices:
        meta["devices"] = told.devices
    return "cidata", {
        "meta-data": as_yaml(meta),
        "user-data": told.user_data,
        "network-config": as_yaml(version_2(told.links)),
    }


def _config_drive(spec: ServerSpec, told: _Told) -> tuple[str, dict[str, bytes]]:
    meta: dict[str, object] = {
        "uuid": spec.id,
        "name": spec.name,
        "hostname": spec.hostname or spec.name,
        "launch_index": spec.index,
        "availability_zone": spec.availability_zone or "",
        "project_id": spec.project,
        "meta": dict(spec.properties),
        "devices": told.devices,
    }
    if spec.public_key:
        name = spec.key_name or "key"
        meta["public_keys"] = {name: spec.public_key}
        meta["keys"] = [{"name": name, "type": "ssh", "data": spec.public_key}]
    files = {
        "meta_data.json": _as_json(meta),
        "user_data": told.user_data,
        "network_data.json": _as_json(network_data(told.links)),
        "vendor_data.json": _as_json({}),
    }
    return "config-2", {
        f"openstack/{version}/{name}": content
        for version in OPENSTACK_VERSIONS
        for name, content in files.items()
    }


_KINDS = {"nocloud": _nocloud, "config-2": _config_drive}


def _as_json(value: object) -> bytes:
    return json.dumps(value, indent=1).encode("ascii")


def iso(label: str, files: Mapping[str, bytes]) -> bytes:
    """Write files, by their paths, as an ISO 9660 image with their names as they are."""
    _stop_the_clock()
    image = pycdlib.PyCdlib()
    image.new(interchange_level=3, vol_ident=label, joliet=3, rock_ridge="1.09")
    short: dict[str, str] = {"": ""}
    for path, content in files.items():
        *folders, name = path.split("/")
        below = ""
        for folder in folders:
            above, below = below, f"{below}/{folder}"
            if below not in short:
                short[below] = f"{short[above]}/D{len(short)}"
                image.add_directory(short[below], rr_name=folder, joliet_path=below)
        short[f"/{path}"] = f"{short[below]}/F{len(short)}.;1"
        image.add_fp(
            io.BytesIO(content),
            len(content),
            short[f"/{path}"],
            rr_name=name,
            joliet_path=f"/{path}",
            file_mode=0o100444,
        )
    written = io.BytesIO()
    image.write_fp(written)
    image.close()
    return written.getvalue()


def user_data_of(seed: bytes) -> bytes:
    """Give what a seed tells its guest to do."""
    image = pycdlib.PyCdlib()
    try:
        image.open_fp(io.BytesIO(seed))
        for path in ("/user-data", f"/openstack/{OPENSTACK_VERSIONS[-1]}/user_data"):
            found = io.BytesIO()
            with contextlib.suppress(PyCdlibInvalidInput):
                image.get_file_from_iso_fp(found, joliet_path=path)
                return found.getvalue()
    except PyCdlibException as error:
        raise VmctlError(f"the seed cannot be read: {error}") from error
    raise VmctlError("the seed has no user data")


def _stop_the_clock() -> None:
    """Have pycdlib, which takes no time to write but its clock's, see always the same."""
    clock = SimpleNamespace(
        time=lambda: _MOMENT,
        localtime=time.gmtime,
        gmtime=time.gmtime,
        strftime=time.strftime,
        strptime=time.strptime,
        struct_time=time.struct_time,
    )
    for name, module in list(sys.modules.items()):
        if name.startswith("pycdlib.") and getattr(module, "time", None) is time:
            module.time = clock  # type: ignore[attr-defined] # a module's import
