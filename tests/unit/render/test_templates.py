from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers import BUILD, OFFERS, OWNER, PLACE, SPEC
from vmctl.adapters.render import TemplateRenderer
from vmctl.bootstrap import App
from vmctl.config import load
from vmctl.errors import UsageError


def a_domain(folder: Path) -> str:
    renderer = App(load({"HOME": "/nonexistent", "XDG_CONFIG_HOME": str(folder)})).renderer
    return renderer.domain(SPEC, BUILD, owner=OWNER, offers=OFFERS, place=PLACE)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The operator's own template of a domain."""
    (tmp_path / "vmctl/templates").mkdir(parents=True)
    return tmp_path / "vmctl/templates/domain.xml.j2"


def test_a_template_of_ones_own_comes_first(own: Path) -> None:
    own.write_text("<domain><name>{{ build.name }} & {{ spec.flavor.memory }}</name></domain>")

    assert a_domain(own.parents[2]) == "<domain><name>web-1 & 512</name></domain>"


def test_one_can_add_to_vmctls_template_by_including_it(own: Path, tmp_path: Path) -> None:
    (own.parent / "filter.xml.j2").write_text("{% include 'domain.xml.j2' %}")

    assert a_domain(tmp_path).startswith("<domain type")


def test_a_folder_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "domain.xml.j2").write_text("mine")
    config = load({"HOME": "/nonexistent", "VMCTL_TEMPLATES": str(tmp_path)})

    assert config.templates == str(tmp_path)
    assert App(config).renderer.domain(SPEC, BUILD, owner="o", offers=OFFERS, place=PLACE) == "mine"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n{{ nothing }}", "'nothing' is undefined"),
        ("\n{{ build.colour }}", "has no attribute 'colour'"),
        ("\n{{ spec.description }}", "a value is put in that is not there"),
        ("\n{% for x in %}", "domain.xml.j2:2: "),
        ("\n{% include 'gone.j2' %}", "gone.j2"),
    ],
)
def test_what_is_wrong_with_a_template_is_said(own: Path, text: str, said: str) -> None:
    own.write_text(text)

    with pytest.raises(UsageError) as caught:
        a_domain(own.parents[2])

    assert said in caught.value.message


def test_a_renderer_that_is_not_used_loads_nothing() -> None:
    code = (
        "import sys; from vmctl.bootstrap import App; from vmctl.config import load; "
        "App(load({})).renderer; "
        "print([m for m in ('jinja2', 'yaml', 'pycdlib', 'markupsafe') if m in sys.modules])"
    )

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "[]"


def test_a_seed_needs_no_templates_engine() -> None:
    code = "import sys, vmctl.adapters.render.seed; print('jinja2' in sys.modules)"

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "False"
    assert TemplateRenderer()._own == ""
