from __future__ import annotations

import pytest

from tests.lab.demo import prove
from tests.lab.foreign import OFF
from tests.lab.outside import Lab
from tests.lab.servers import lefts

DONE = f"""
echo "<filter name='vmctl-left'/>" >/tmp/left.xml
virsh -q nwfilter-define /tmp/left.xml && virsh -q autostart {OFF}
"""
UNDONE = f"virsh -q nwfilter-undefine vmctl-left; virsh -q autostart --disable {OFF}"


def test_a_demo_fails_on_what_it_leaves_and_on_what_it_changes_of_others(
    shared_lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    before = lefts(shared_lab)
    shared_lab.do("inside", "kvm1", "sh", "-c", DONE)
    try:
        left, changed = prove(shared_lab, before)
    finally:
        shared_lab.do("inside", "kvm1", "sh", "-c", UNDONE)

    assert left.startswith("kvm1: left of the demo: ")
    assert "vmctl-left" in left
    assert "kvm1: autostart of its guests changed" in changed
    capsys.readouterr()
    assert prove(shared_lab, before) == []
    assert len(capsys.readouterr().out.strip().splitlines()) == len(shared_lab.hosts) + 1
