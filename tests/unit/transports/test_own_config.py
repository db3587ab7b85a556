"""Connections share nothing that changes while they are made: many are made at once."""

from __future__ import annotations

import threading

from fabric import Connection

from vmctl.adapters.ssh_connect import _config


def test_connections_made_side_by_side_read_their_own_configuration() -> None:
    failures: list[Exception] = []

    def make() -> None:
        for number in range(40):
            try:
                Connection(f"host{number}", user="ops", port=22, config=_config())
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told below
                failures.append(error)

    threads = [threading.Thread(target=make) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert _config() is not _config()
