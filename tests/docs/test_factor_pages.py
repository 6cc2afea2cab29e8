"""Each factor has a page, and each page tells the same: how it goes, what threatens it, how it is configured, and a whole
enrolment and verification to paste, which `test_examples.py` runs."""

import re

import pytest

from harness import expect
from harness.serve import run
from harness.server import ROOT

FOLDER = ROOT / "docs/factors"
PAGES = sorted(page for page in FOLDER.glob("*.md") if page.name not in ("README.md", "adding.md"))
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def sections(page):
    """What stands under each heading of the second level; what stands above the first has the name ''."""
    name, found, fenced = "", {"": []}, False
    for line in page.read_text().splitlines():
        fenced ^= line.startswith("```")
        if line.startswith("## ") and not fenced:
            name = line[3:]
            found[name] = []
        else:
            found[name].append(line)
    return {name: "\n".join(lines) for name, lines in found.items()}


def test_every_factor_has_a_page_and_every_page_is_listed(person):
    listed = re.findall(r"^\| (\d*) ?\| ([^|]+) \| (.*) \|$", (FOLDER / "README.md").read_text(), re.M)
    offered = {(str(it["factor_id"]), it["name"]) for it in expect.ok(person.factors(), 200)}
    assert {(ident, name) for ident, name, _ in listed if ident} == offered
    linked = {page for _, _, cell in listed for page in re.findall(r"\(([\w-]+\.md)\)", cell)}
    assert linked == {page.name for page in PAGES}


@each_page
def test_a_page_has_all_its_parts(page):
    found = sections(page)
    assert re.search(r"^```mermaid\nsequenceDiagram$", page.read_text(), re.M), "no sequence diagram"
    threats = re.findall(r"^\| [^|]+ \| [^|]+ \|$", found["Threats, and what answers them"], re.M)
    assert threats[0] == "| threat | answer |" and len(threats) > 4, "hardly a threat"
    assert found["Configuration"].strip()
    assert "$ " in found["Try it"]


@each_page
def test_what_a_page_configures_is_a_configuration(page, tmp_path):
    shown = sections(page)["Configuration"]
    tables = re.findall(r"^```toml\n(.*?)^```$", shown, re.M | re.S)
    tables += ["\n".join(re.findall(r"^ {4}(\S.*)$", shown, re.M))]  # lines that are indented are an example too
    for table in tables:
        file = tmp_path / "factord.toml"
        file.write_text(table)
        run("policy", "check", file)
    named = re.findall(r"`((?:rules|policy|delivery|messages|notices|webauthn|factors)\.[a-z_.]+)\b", shown)
    documented = (ROOT / "docs/configuration.md").read_text()
    assert [key for key in named if key not in documented] == []
