from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.servers import BUILD, OWNER, SPEC
from vmctl.adapters.server_record import find_record
from vmctl.domain.sample import RECORD_NAMESPACE
from vmctl.domain.server_record import Held, ServerRecord, from_xml, held_by, to_xml

RECORD = ServerRecord(owner=OWNER, spec=SPEC, build=BUILD)
TEXT = st.text(st.characters(), max_size=30)
"""Any text at all, surrogates and what XML cannot hold included."""


def test_a_record_reads_back_as_it_was() -> None:
    assert from_xml(to_xml(RECORD)) == RECORD


@settings(deadline=None)
@given(TEXT, TEXT, TEXT, st.dictionaries(TEXT, TEXT, max_size=3), st.lists(TEXT, max_size=3))
def test_nothing_that_a_user_says_gets_out_of_a_record(
    name: str, description: str, pool: str, properties: dict[str, str], tags: list[str]
) -> None:
    spec = replace(
        SPEC,
        name=name,
        description=description,
        properties=properties,
        hostname=description,
        tags=tuple(tags),
        hints={"query": list(tags)},
    )
    record = ServerRecord(owner=OWNER, spec=spec, build=replace(BUILD, pool=pool))

    xml = to_xml(record)

    assert from_xml(xml) == record
    assert "\n" not in xml
    held = held_by(xml)
    assert held is not None
    assert held[:3] == (2, 512, 10240)
    assert find_record(f"<metadata>\n    {xml}\n  </metadata>") == xml


def test_the_probe_finds_exactly_the_record_among_others() -> None:
    xml = to_xml(RECORD)

    assert find_record(f"<a:x xmlns:a='urn:a'/>\n    {xml}\n</metadata>") == xml


def test_a_record_without_its_namespace_is_one_too() -> None:
    declared = f' xmlns:vmctl="{RECORD_NAMESPACE}"'
    bare = to_xml(RECORD).replace(declared, "").replace("vmctl:server", "server")

    assert from_xml(bare) == RECORD


@pytest.mark.parametrize(
    "url",
    ["https://u:secret@images.example/x", "https://images.example/x?token=secret"],
    ids=["login", "token"],
)
def test_an_address_with_a_secret_is_left_out(url: str) -> None:
    spec = replace(SPEC, image=replace(SPEC.image, url=url))

    xml = to_xml(replace(RECORD, spec=spec))

    assert "secret" not in xml
    assert from_xml(xml).spec.image.url is None


def _changed(pattern: str, to: str) -> str:
    xml, count = re.subn(pattern, to, to_xml(RECORD), count=1)
    assert count == 1
    return xml


BROKEN = {
    "nothing": "",
    "no XML": "<vmctl:server",
    "no namespace for its prefix": "<vmctl:server version='1'/>",
    "another element": "<domain/>",
    "another namespace": _changed("urn:vmctl:server:1", "urn:vmctl:other:1"),
    "a newer version": _changed('version="1"', 'version="2"'),
    "no version": _changed(' version="1"', ""),
    "no text": _changed(">.*<", "><"),
    "no JSON": _changed(">.*<", ">{<"),
    "a list": _changed(">.*<", ">[]<"),
    "a number": _changed(">.*<", ">7<"),
    "deep": _changed(">.*<", f">{'[' * 90000}<"),
    "no build": _changed('"build"', '"guild"'),
    "a list for a name": _changed('"name":"web-1"', '"name":["web-1"]'),
    "a text for a number": _changed('"memory":512', '"memory":"512"'),
    "a yes for a number": _changed('"number":1', '"number":true'),
    "a number for a text among others": _changed('"tags":\\["blue"\\]', '"tags":[1]'),
    "a text for cards": _changed('"cards":\\[[^]]*\\]', '"cards":"none"'),
    "another size in front": _changed('memory="512"', 'memory="64"'),
    "another id in front": _changed(' id="6', ' id="7'),
    "no owner": _changed('owner="[^"]*"', 'owner=""'),
    "another server's build": _changed('"server":"6', '"server":"7'),
    "an element inside": _changed("</", "<x/></"),
    "entities": '<!DOCTYPE x [<!ENTITY a "aaaa">]>' + to_xml(RECORD),
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_what_is_no_whole_record_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="the record"):
        from_xml(text)


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_a_record_or_refused(text: str) -> None:
    with pytest.raises(ValueError, match="the record"):
        from_xml(text)


@settings(deadline=None)
@given(st.data())
def test_a_damaged_record_is_itself_or_refused(data: st.DataObject) -> None:
    xml = to_xml(RECORD)
    start = data.draw(st.integers(0, len(xml)))
    end = data.draw(st.integers(start, len(xml)))
    damaged = xml[:start] + data.draw(st.text(max_size=5)) + xml[end:]

    try:
        build = from_xml(damaged).build
    except ValueError:
        return  # refused
    assert (build.vcpus, build.memory, build.disk) == (2, 512, 10240)


def test_what_a_server_takes_is_read_at_a_glance() -> None:
    build = replace(BUILD, vcpus=3, memory=777, disk=888, pool="a 'b' disk=\"9\" & more")

    held = held_by(to_xml(replace(RECORD, build=build)))

    assert held == Held(vcpus=3, memory=777, disk=888, pool="a 'b' disk=\"9\" & more")


@pytest.mark.parametrize(
    "record",
    ["", "<x/>", "<s:server vcpus='1' memory='2'>", "<s:server vcpus='-1' memory='2' disk='3'>"],
    ids=["nothing", "another", "no disk", "less than nothing"],
)
def test_a_record_that_does_not_say_its_size_holds_nothing(record: str) -> None:
    assert held_by(record) is None
