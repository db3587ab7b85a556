"""No name or path gets out of its place in what libvirt is given to make."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.brief import BRIEFLY
from tests.unit.render.test_domain import LEGAL
from vmctl.adapters.hypervisor import elements
from vmctl.adapters.hypervisor.networks import Promise, promises, wishes
from vmctl.adapters.hypervisor.volumes import _read, _xml
from vmctl.domain.build import Volume
from vmctl.domain.machine import PoolPlace

MAC = "52:54:00:12:34:56"
NETWORK = (
    "<network><ip address='10.0.0.1' netmask='255.255.255.0'><dhcp>{promised}</dhcp></ip>"
    "<ip family='ipv6' address='fd00::1' prefix='64'><dhcp/></ip></network>"
)


@BRIEFLY
@given(LEGAL, LEGAL, LEGAL)
@example("web", "' ip='10.0.0.9", "/><host ip='10.0.0.9'/>")
def test_a_promise_is_one_element_with_the_words_that_it_was_given(
    name: str, mac: str, identity: str
) -> None:
    promise = Promise(index=0, ip="10.0.0.7", mac=mac, id=identity, name=name)

    (found,) = promises(NETWORK.format(promised=promise.xml))

    assert found == promise


@BRIEFLY
@given(LEGAL, LEGAL)
@example("web'/><host ip='10.0.0.9", "other")
@example("web-1", "web-1")
def test_a_hostname_reaches_the_dhcp_whole_or_not_at_all(name: str, bearer: str) -> None:
    other = Promise(index=0, ip="10.0.0.3", mac="52:54:00:00:00:03", name=bearer)
    network = NETWORK.format(promised=other.xml)

    wanted = wishes(network, mac=MAC, addresses=("10.0.0.7", "fd00::7"), name=name)

    assert [one.ip for one in wanted] == ["10.0.0.7", "fd00::7"]
    for one in wanted:
        element = ET.fromstring(one.xml)
        assert (element.tag, list(element), element.text) == ("host", [], None)
        told = element.get("name")
        assert told in (None, name)
        assert told is None or (re.fullmatch(r"[A-Za-z0-9.-]+", told) and told != bearer)


@BRIEFLY
@given(LEGAL, LEGAL, LEGAL, st.none() | LEGAL, st.sampled_from(["dir", "logical"]))
@example("a\rb", "raw", "qcow2", "/x\r\ny", "dir")
@example("</name><target><path>/etc/passwd</path></target><name>", "raw", "raw", None, "dir")
def test_a_volume_is_made_of_the_words_that_it_was_given(
    name: str, form: str, below: str, backing: str | None, kind: str
) -> None:
    place = PoolPlace(name="default", type=kind, path="/pool")
    volume = Volume(name=name, role="root", size=7, format=form, backing_format=below)

    xml = _xml(place, volume, backing)

    root = ET.fromstring(xml)
    assert root.findtext("name") == name
    assert root.findtext("capacity") == "7"
    found = [one.get("type") for one in root.iter("format")]
    assert found == [form] if backing is None else [form, below]
    assert root.findtext("backingStore/path") == backing
    tags = {"volume", "name", "capacity", "allocation", "target", "format", "compat"}
    below_it = set() if backing is None else {"backingStore", "path"}
    assert {one.tag for one in root.iter()} - tags == below_it
    assert _read(xml).format == form


@BRIEFLY
@given(LEGAL)
@example("\r")
def test_text_and_attributes_are_read_back_as_they_were_written(words: str) -> None:
    written = f"<a b={elements.quoteattr(words)}>{elements.escape(words)}</a>"

    found = ET.fromstring(written)

    assert (found.text, found.get("b")) == (words, words)
