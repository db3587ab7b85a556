"""Another system in a server's place, planned: what is made for it, and whether its host suits."""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vmctl.domain.build import Build, Volume, base_name, volume_name
from vmctl.domain.exchange import Exchange, as_seen, changed
from vmctl.domain.plain import from_plain, to_plain
from vmctl.domain.record import ServerState
from vmctl.domain.spec import Secrets, ServerSpec
from vmctl.errors import Conflict, NameTaken, NoValidHost
from vmctl.services.kept import create_params
from vmctl.services.pinning import own_cpus
from vmctl.services.planning import volumes_of

if TYPE_CHECKING:
    from vmctl.domain.host import Host
    from vmctl.domain.inventory import Inventory
    from vmctl.domain.record import Attempt, Server
    from vmctl.domain.spec import ImageUse
    from vmctl.sagas.work import World
    from vmctl.services.acting import Errand, Ready
    from vmctl.services.judging import Judge
    from vmctl.services.makeover import Makeover

_MIB = 1024 * 1024
_RESCUE = ("rescue", "rescue-seed")


def to_rescue(inventory: Inventory, image: ImageUse | None, password_hash: str | None) -> Ready:
    """Have servers boot this image, or else their own one anew, with their disks beside it."""

    def ready(errand: Errand, server: Server, attempt: Attempt, _host: Host) -> Errand:
        spec, build = from_plain(ServerSpec, server.spec), from_plain(Build, attempt.plan)
        used = image or spec.image
        generation = build.generation + 1
        root, seed = (volume_name(spec.id, role, generation) for role in _RESCUE)
        disk = Volume(
            name=root,
            role="rescue",
            size=used.virtual_size,
            format="qcow2",
            backing=base_name(used),
            backing_format=used.format,
        )
        volumes = (disk, Volume(name=seed, role="rescue-seed"), *build.volumes)
        new = replace(
            build, name=spec.name, volumes=volumes, spare=build.spare, generation=generation
        )
        exchange = Exchange(old=build, new=new, image=used)
        return _with(
            errand, _of(exchange, server, attempt), inventory, Secrets(password_hash=password_hash)
        )

    return ready


def to_unrescue(inventory: Inventory) -> Ready:
    """Have servers boot their own disks again."""

    def ready(errand: Errand, server: Server, attempt: Attempt, _host: Host) -> Errand:
        build = from_plain(Build, attempt.plan)
        own = tuple(one for one in build.volumes if one.role not in _RESCUE)
        new = replace(build, name=server.name, volumes=own, spare=())
        return _with(
            errand, _of(Exchange(old=build, new=new), server, attempt), inventory, Secrets()
        )

    return ready


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilder:
    """Has servers made anew where they stand, if their hosts suit what they are to be."""

    world: World
    inventory: Inventory
    judge: Judge
    makeover: Makeover

    def ready(self, errand: Errand, server: Server, attempt: Attempt, host: Host) -> Errand:
        """Plan it for one server."""
        spec, build = from_plain(ServerSpec, server.spec), from_plain(Build, attempt.plan)
        exchange = self.exchange(spec, build)
        new = changed(spec, exchange.becomes)
        self._refuse(spec, new, host)
        # Whatever the host cannot make is told before anything of the server is touched.
        hypervisor = self.world.hypervisors.on(host)
        self.world.renderer.domain(
            new,
            exchange.new,
            owner=self.world.store.uuid(),
            offers=hypervisor.offers(),
            place=hypervisor.pool(build.pool),
        )
        after = server.state if server.state is ServerState.STOPPED else ServerState.ACTIVE
        errand = replace(errand, params={**errand.params, "after": after.value})
        return _with(errand, _of(exchange, server, attempt), self.inventory, self.makeover.secrets)

    def exchange(self, spec: ServerSpec, build: Build) -> Exchange:
        """Say what is exchanged for what, and what of the server's spec changes."""
        plain = to_plain(spec)
        becomes = {key: value for key, value in self._fields(spec).items() if plain[key] != value}
        new = changed(spec, becomes)
        generation = build.generation + 1
        kept = [one for one in build.volumes if one.role == "ephemeral"]
        volumes = []
        for volume in volumes_of(new, generation):
            keep = self.makeover.preserve_ephemeral and volume.role == "ephemeral" and kept
            volumes.append(kept.pop(0) if keep else volume)
        told = self.makeover.fields.get("has_user_data") is None
        return Exchange(
            old=build,
            new=replace(
                build,
                name=new.name,
                base=base_name(new.image),
                volumes=tuple(volumes),
                spare=(),
                generation=generation,
            ),
            image=new.image,
            was={key: plain[key] for key in becomes},
            becomes=becomes,
            keeps_user_data=told and spec.has_user_data,
        )

    def _fields(self, spec: ServerSpec) -> dict[str, object]:
        fields = dict(self.makeover.fields)
        image = self.makeover.image
        if image is not None and spec.seed is not None:
            mandatory = image.properties.get("img_config_drive") == "mandatory"
            fields["seed"] = "config-2" if mandatory else spec.seed
        return fields

    def _refuse(self, spec: ServerSpec, new: ServerSpec, host: Host) -> None:
        """Raise what speaks against it; only another image is judged anew."""
        if new.name != spec.name:
            self._refuse_name(spec, new.name)
        if spec.seed is None and self.makeover.carried:
            raise Conflict(
                f"{', '.join(self.makeover.carried)}: server {spec.name} was made with"
                " --no-config-drive, and nothing would carry it to the guest"
            )
        image = self.makeover.image
        if image is None or new.image == spec.image:
            return
        misfit = image.misfit(spec.flavor)
        if misfit is not None:
            raise Conflict(f"server {spec.name} cannot be rebuilt: {misfit}")
        own = own_cpus(new)
        if own != own_cpus(spec):
            wish = "asks for CPUs of its own, and it runs on shared ones"
            raise Conflict(
                f"server {spec.name} cannot be rebuilt: the image {image.name}"
                f" {wish if own else 'asks for none, and it has CPUs of its own'}",
                hint="another image, or another server: vmctl server create",
            )
        least = math.ceil(new.image.virtual_size / _MIB)
        if least > spec.flavor.disk:
            raise Conflict(
                f"server {spec.name} cannot be rebuilt: the image {image.name} is a disk of"
                f" {least} MiB, and it has {spec.flavor.disk}"
            )
        record = self.world.store.host(host.name)
        reason = self.judge.unsuited(new, host, record)
        if reason is not None:
            raise NoValidHost(
                f"server {spec.name} cannot be rebuilt with the image {image.name} on {host.name},"
                f" where it stays: {reason}",
                hint="another image, or another server: vmctl server create",
            )

    def _refuse_name(self, spec: ServerSpec, name: str) -> None:
        """Raise NameTaken for a name that another has; it is asked again when it is given."""
        for one in self.world.store.servers():
            if one.name == name and one.id != spec.id and one.holds_name:
                raise NameTaken(
                    f"server {spec.name} cannot be called {name}: {one.id} is",
                    hint="choose another name",
                )


def _of(exchange: Exchange, server: Server, attempt: Attempt) -> Exchange:
    """Have an exchange say what it was made of."""
    return replace(exchange, seen=as_seen(server.spec, attempt.plan))


def _with(errand: Errand, exchange: Exchange, inventory: Inventory, told: Secrets) -> Errand:
    """Give an errand all that its workflow goes by, and a console password of its own."""
    networks = {
        card.network: inventory.network(card.network)
        for card in exchange.new.cards
        if exchange.made
    }
    params = {**errand.params, **create_params(networks, {}), "exchange": to_plain(exchange)}
    told = replace(told, console_password=secrets.token_urlsafe(6))
    return replace(errand, params=params, secrets=told, keeps_secrets=True)
