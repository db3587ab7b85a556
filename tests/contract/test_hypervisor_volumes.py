"""What holds of pools and volumes on every hypervisor."""

from __future__ import annotations

import pytest

from tests.contract.ground import Ground
from vmctl.domain.build import Volume
from vmctl.errors import RemoteFailed

MIB = 1 << 20


def raw(server: str, *, size: int = MIB, end: str = "-disk", role: str = "ephemeral") -> Volume:
    return Volume(name=f"{server}{end}", role=role, size=size)


def base(server: str, *, end: str = "-base") -> Volume:
    return Volume(name=f"{server}{end}", role="root", size=MIB, format="qcow2")


def overlay(server: str, *, size: int = 4 * MIB, on: str = "-base") -> Volume:
    return Volume(
        name=f"{server}-root",
        role="root",
        size=size,
        format="qcow2",
        backing=f"{server}{on}",
        backing_format="qcow2",
    )


def test_a_pool_says_where_it_is_and_what_it_holds(ground: Ground) -> None:
    place = ground.hypervisor.pool(ground.pool)

    assert (place.name, place.type, place.active) == (ground.pool, "dir", True)
    assert place.path.startswith("/")
    assert place.available > MIB
    assert place.formats == ("raw", "qcow2")
    assert "qcow2" not in ground.hypervisor.pool(ground.plain_pool).formats


def test_a_pool_that_is_not_there_or_stopped_is_told_with_the_host(ground: Ground) -> None:
    for name in ("no-such-pool", ground.stopped_pool):
        with pytest.raises(RemoteFailed, match=name) as told:
            ground.hypervisor.pool(name)

        assert told.value.host == ground.name
        assert told.value.hint
        with pytest.raises(RemoteFailed, match=name):
            ground.hypervisor.ensure_volume(name, raw("x"))


def test_a_raw_volume_takes_no_room_before_it_is_written(ground: Ground, server: str) -> None:
    volume = raw(server, size=64 * MIB + 1)

    path = ground.hypervisor.ensure_volume(ground.pool, volume)

    found = ground.hypervisor.volume(ground.pool, volume.name)
    assert found is not None
    assert (found.name, found.path, found.size) == (volume.name, path, 64 * MIB + 1)
    assert found.allocation < MIB
    assert volume.name in ground.hypervisor.volumes(ground.pool)
    assert path == f"{ground.hypervisor.pool(ground.pool).path}/{volume.name}"


def test_a_volume_that_fits_is_left_as_it_is(ground: Ground, server: str) -> None:
    volume = raw(server, size=5)
    path = ground.hypervisor.ensure_content(ground.pool, volume, b"mine!")

    again = ground.hypervisor.ensure_volume(ground.pool, volume)

    assert again == path
    assert ground.hypervisor.read_volume(ground.pool, volume.name) == b"mine!"


def test_a_volume_of_another_size_is_made_anew(ground: Ground, server: str) -> None:
    ground.hypervisor.ensure_content(ground.pool, raw(server), b"another's")

    ground.hypervisor.ensure_volume(ground.pool, raw(server, size=12))

    assert ground.hypervisor.read_volume(ground.pool, f"{server}-disk") == bytes(12)


def test_a_log_fits_however_long_it_has_grown(ground: Ground, server: str) -> None:
    log = raw(server, size=0, end="-log", role="log")
    ground.hypervisor.ensure_volume(ground.pool, log)
    ground.hypervisor.ensure_content(ground.pool, log, b"login: ")

    ground.hypervisor.ensure_volume(ground.pool, log)

    assert ground.hypervisor.read_volume(ground.pool, log.name) == b"login: "


def test_the_parts_of_a_log_are_named_the_oldest_first(ground: Ground, server: str) -> None:
    on, log = ground.hypervisor, raw(server, size=0, end="-log", role="log")
    none = on.log_parts(ground.pool, log.name)
    on.ensure_volume(ground.pool, log)
    one = on.log_parts(ground.pool, log.name)
    # virtlogd moves them aside by itself.
    ground.put(f"{log.name}.0", b"newer")
    ground.put(f"{log.name}.1", b"older")
    ground.put(f"{log.name}.3", b"another's")

    parts = on.log_parts(ground.pool, log.name)

    assert (none, one) == ((), (log.name,))
    assert parts == (f"{log.name}.1", f"{log.name}.0", log.name)
    assert [on.read_volume(ground.pool, part) for part in parts] == [b"older", b"newer", b""]
    assert on.log_parts(ground.pool, log.name, moved=True) == parts


def test_an_overlay_has_its_own_size_and_is_left_as_it_is(ground: Ground, server: str) -> None:
    on, root = ground.hypervisor, overlay(server)
    on.ensure_volume(ground.pool, base(server))
    path = on.ensure_volume(ground.pool, root)
    before = on.read_volume(ground.pool, root.name)

    again = on.ensure_volume(ground.pool, root)

    found = on.volume(ground.pool, root.name)
    assert found is not None
    assert (again, found.path, found.size) == (path, path, 4 * MIB)
    assert before.startswith(b"QFI\xfb\0\0\0\3")
    assert f"{server}-base".encode() in before
    assert on.read_volume(ground.pool, root.name) == before


def test_an_overlay_of_another_base_or_size_is_made_anew(ground: Ground, server: str) -> None:
    on = ground.hypervisor
    on.ensure_volume(ground.pool, base(server))
    on.ensure_volume(ground.pool, base(server, end="-other"))
    on.ensure_volume(ground.pool, overlay(server))

    on.ensure_volume(ground.pool, overlay(server, on="-other"))
    assert f"{server}-other".encode() in on.read_volume(ground.pool, f"{server}-root")

    on.ensure_volume(ground.pool, overlay(server, on="-other", size=8 * MIB))
    found = on.volume(ground.pool, f"{server}-root")
    assert found is not None
    assert found.size == 8 * MIB


def test_an_overlay_without_its_base_is_refused(ground: Ground, server: str) -> None:
    with pytest.raises(RemoteFailed, match=f"{server}-base") as told:
        ground.hypervisor.ensure_volume(ground.pool, overlay(server))

    assert told.value.host == ground.name
    assert ground.hypervisor.volume(ground.pool, f"{server}-root") is None


def test_a_pool_that_holds_no_qcow2_is_refused_by_name(ground: Ground, server: str) -> None:
    with pytest.raises(RemoteFailed, match=f"{ground.plain_pool}.*qcow2") as told:
        ground.hypervisor.ensure_volume(ground.plain_pool, base(server))

    assert told.value.host == ground.name
    assert told.value.hint


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 4000], ids=len)
def test_content_is_there_exactly_however_often_it_is_asked(
    ground: Ground, server: str, content: bytes
) -> None:
    on, seed = ground.hypervisor, raw(server, end="-seed", role="seed")

    path = on.ensure_content(ground.pool, seed, content)
    again = on.ensure_content(ground.pool, seed, content)

    found = on.volume(ground.pool, seed.name)
    assert found is not None
    assert (path, again, found.size) == (found.path, found.path, len(content))
    assert on.read_volume(ground.pool, seed.name) == content


@pytest.mark.parametrize("other", [b"", b"longer than that", b"last"])
def test_other_content_takes_the_place_of_the_first(
    ground: Ground, server: str, other: bytes
) -> None:
    seed = raw(server, end="-seed", role="seed")
    ground.hypervisor.ensure_content(ground.pool, seed, b"1st!")

    ground.hypervisor.ensure_content(ground.pool, seed, other)

    assert ground.hypervisor.read_volume(ground.pool, seed.name) == other


def test_a_part_of_a_volume_is_read(ground: Ground, server: str) -> None:
    seed = raw(server, end="-seed")
    ground.hypervisor.ensure_content(ground.pool, seed, b"0123456789")

    def part(offset: int, length: int = 0) -> bytes:
        return ground.hypervisor.read_volume(ground.pool, seed.name, offset=offset, length=length)

    assert (part(2, 3), part(7), part(8, 99), part(10), part(99)) == (
        b"234",
        b"789",
        b"89",
        b"",
        b"",
    )


def test_a_volume_that_is_not_there_is_not_read(ground: Ground, server: str) -> None:
    assert ground.hypervisor.volume(ground.pool, server) is None
    with pytest.raises(RemoteFailed, match=server) as told:
        ground.hypervisor.read_volume(ground.pool, server)

    assert told.value.host == ground.name


def test_a_volume_is_removed_however_often_it_is_asked(ground: Ground, server: str) -> None:
    kept, gone = raw(server, end="-a"), raw(server, end="-b")
    for volume in (kept, gone):
        ground.hypervisor.ensure_content(ground.pool, volume, b"a log")

    ground.hypervisor.remove_volume(ground.pool, gone.name)
    ground.hypervisor.remove_volume(ground.pool, gone.name)

    ours = [name for name in ground.hypervisor.volumes(ground.pool) if name.startswith(server)]
    assert ours == [kept.name]
    assert ground.hypervisor.volume(ground.pool, gone.name) is None


def test_a_pool_that_is_gone_does_not_prove_a_volume_gone(ground: Ground, server: str) -> None:
    with pytest.raises(RemoteFailed, match="no-such-pool"):
        ground.hypervisor.remove_volume("no-such-pool", server)


@pytest.mark.parametrize("end", ["-<&>", "-'\"", "- é", "-$(id)", "-]]>"])
def test_a_name_is_never_read_as_anything_else(ground: Ground, server: str, end: str) -> None:
    on = ground.hypervisor
    lower = base(server, end=end)
    on.ensure_volume(ground.pool, lower)

    on.ensure_volume(ground.pool, overlay(server, on=end))

    assert lower.name in on.volumes(ground.pool)
    assert lower.name.encode() in on.read_volume(ground.pool, f"{server}-root")
    on.remove_volume(ground.pool, lower.name)
    assert on.volume(ground.pool, lower.name) is None
