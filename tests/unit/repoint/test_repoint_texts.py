"""Files that are edited: the value and nothing else, byte for byte."""

from __future__ import annotations

import difflib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from runbook.errors import SettingsError
from runbook.repoint.compose_text import compose_text
from runbook.repoint.edit import Edit, diff, edited, merged, pieces
from runbook.repoint.env_lines import env_lines
from runbook.repoint.interpolation import interpolated
from runbook.repoint.reading import value
from runbook.repoint.target import Target
from runbook.repoint.text_file import TextFile
from runbook.repoint.traced import Traced, unwritten, written
from runbook.repoint.variable import DatabaseVariable

NEW = Target("10.0.0.2")
URL = DatabaseVariable(service="core", variable="DATABASE_URL")

COMPOSE = """\
# APIO, as it came with the installer
version: "3.7"   # kept
x-common: &common
  TZ: UTC
services:
    core:
        image: "apio/core"
        environment:
            <<: *common
            DATABASE_URL: {value}  # the primary
            OTHER: 10.0.0.1
    gateway: {{image: gw, environment: [ "DATABASE_URL={plain}", 'A=b' ]}}
"""

WRITINGS = [
    "postgresql://apio:S3CRET@10.0.0.1:5432/apio",
    "'postgresql://apio:S3''CRET@10.0.0.1:5432/apio'",
    '"postgresql://apio:S3CRET\\u0040\\x41\\"@10.0.0.1:5432/apio"',
    "&url postgresql://apio:S3CRET@10.0.0.1:5432/apio",
    '!!str "postgresql://apio:S3CRET@10.0.0.1:5432/apio"',
    "'host=10.0.0.1 password=S3CRET'",
    "10.0.0.1",
]


def found(file: TextFile, variable: DatabaseVariable = URL) -> Traced:
    traced = compose_text(file).variable(variable.service, variable.variable)
    assert traced is not None
    return traced


def change(file: TextFile, traced: Traced) -> tuple[bytes, str]:
    """Give the new content of a file, and the diff that people see."""
    one = value(URL, traced, "here")
    edits = merged(file, [edit for _, edit in one.edits(NEW, "here")])
    shown = {at for path, at in one.shown() if path == file.path}
    return edited(file.text, edits), diff(file, edits, shown)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("writing", WRITINGS)
def test_of_a_compose_file_only_the_address_changes(writing: str, ending: str) -> None:
    text = COMPOSE.format(value=writing, plain="10.0.0.1").replace("\n", ending)
    file = TextFile("/c.yml", b"\xef\xbb\xbf" + text.encode())
    new, shown = change(file, found(file))
    line = f"DATABASE_URL: {writing}"
    expected = text.replace(line, line.replace("10.0.0.1", "10.0.0.2"))
    assert new == b"\xef\xbb\xbf" + expected.encode()
    assert "S3" not in shown
    assert "-            DATABASE_URL: " in shown
    assert "10.0.0.2" in shown


def test_an_item_of_a_list_is_changed_in_its_place() -> None:
    text = COMPOSE.format(value="x", plain="postgresql://a:S3CRET@10.0.0.1/b")
    file = TextFile("/c.yml", text.encode())
    new, shown = change(file, found(file, URL.model_copy(update={"service": "gateway"})))
    assert new.decode() == text.replace("S3CRET@10.0.0.1", "S3CRET@10.0.0.2")
    assert "S3CRET" not in shown


def test_the_diff_shows_place_name_and_both_addresses_and_no_neighbour() -> None:
    text = 'services: {core: {environment: {PGPASSWORD: S3CRET, DATABASE_URL: "10.0.0.1"}}}\n'
    file = TextFile("/c.yml", text.encode())
    assert change(file, found(file))[1].splitlines() == [
        "--- /c.yml",
        "+++ /c.yml",
        "@@ -1 +1 @@ core DATABASE_URL",
        '-***10.0.0.1"}}}',
        '+***10.0.0.2"}}}',
    ]
    file = TextFile("/c.yml", COMPOSE.format(value=WRITINGS[0], plain="x").encode())
    assert change(file, found(file))[1].splitlines()[2:] == [
        "@@ -10 +10 @@ core DATABASE_URL",
        "-            DATABASE_URL: postgresql://apio:***@10.0.0.1:5432/apio  # …",
        "+            DATABASE_URL: postgresql://apio:***@10.0.0.2:5432/apio  # …",
    ]


def test_an_anchor_and_a_merged_mapping_are_changed_where_they_are_written() -> None:
    text = """\
x-db: &db 10.0.0.1
x-env: &env
  DATABASE_URL: *db
services:
  core: {environment: {<<: [{A: b}, *env]}}
  other: &other {environment: {DATABASE_URL: "10.0.0.1"}}
  third: {<<: *other, image: x}
"""
    file = TextFile("/c.yml", text.encode())
    assert change(file, found(file))[0].decode() == text.replace("&db 10.0.0.1", "&db 10.0.0.2")
    third = found(file, URL.model_copy(update={"service": "third"}))
    assert change(file, third)[0].decode() == text.replace('"10.0.0.1"', '"10.0.0.2"')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("services: {core: {environment: {DATABASE_URL: |\n  10.0.0.1\n}}}", "no YAML"),
        ("services:\n  core:\n    environment:\n      DATABASE_URL: >-\n        S3CRET", "line 4"),
        ("services:\n  core:\n    environment:\n      DATABASE_URL: [S3CRET]", "line 4"),
        ("services:\n  core:\n    environment:\n      DATABASE_URL: 'S3\n       CRET'", "line 4"),
        ("services: {core: {environment: {DATABASE_URL: S3, DATABASE_URL: CRET}}}", "second time"),
        ("services: {core: {environment: [DATABASE_URL=S3, DATABASE_URL=CRET]}}", "2 times"),
        ("services: {other: {}}", "no service 'core'"),
        ("services: {core: 'S3CRET", "no YAML"),
        ("- S3CRET", "no compose file"),
    ],
)
def test_a_compose_file_that_is_not_understood_is_refused_without_its_text(
    text: str, said: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        compose_text(TextFile("/c.yml", text.encode())).variable("core", "DATABASE_URL")
    assert said in str(refused.value)
    assert "S3" not in str(refused.value)


def test_a_name_without_a_value_is_taken_over_from_outside() -> None:
    for text in ("{DATABASE_URL: }", "[DATABASE_URL]", "{DATABASE_URL: null}"):
        file = TextFile("/c.yml", f"services: {{core: {{environment: {text}}}}}".encode())
        assert found(file).text == "${DATABASE_URL}"


ENV = """\
# settings
export A=1
DB_HOST={value}
  B = "S3CRET x" # c
C='it is'
"""


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("writing", ["10.0.0.1", '"10.0.0.1"', "'10.0.0.1'  # c", "10.0.0.1 # c"])
def test_of_an_env_file_only_the_address_changes(writing: str, ending: str) -> None:
    text = ENV.format(value=writing).replace("\n", ending)
    file = TextFile("/.env", text.encode() + b"\xff\n")
    lines = env_lines(file)
    assert {k: v.text for k, v in lines.entries} == {
        "A": "1", "DB_HOST": "10.0.0.1", "B": "S3CRET x", "C": "it is"
    }  # fmt: skip
    traced = interpolated(unwritten("postgresql://a:p@${DB_HOST}/x"), lines.values())
    new, shown = change(file, traced)
    assert new == text.replace("10.0.0.1", "10.0.0.2").encode() + b"\xff\n"
    assert shown.splitlines()[2].startswith("@@ -3 +3 @@")


def test_a_variable_that_is_set_twice_and_a_quote_without_end_are_refused() -> None:
    with pytest.raises(SettingsError, match="sets A 2 times"):
        env_lines(TextFile("/.env", b"A=1\nA=2\n")).value("A")
    with pytest.raises(SettingsError, match="line 2") as refused:
        env_lines(TextFile("/.env", b"A=1\nB='S3CRET\n"))
    assert "S3CRET" not in str(refused.value)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("a$$b", "a$b"),
        ("$HOST", "h"),
        ("${HOST}:1", "h:1"),
        ("${HOST:-x}", "h"),
        ("${NONE:-x}", "x"),
        ("${EMPTY-x}", ""),
        ("${EMPTY:-x}", "x"),
        ("${HOST:+x}", "x"),
        ("${NONE+x}", ""),
        ("${HOST?gone}", "h"),
        ("$NONE", ""),
    ],
)
def test_values_are_put_in_as_compose_does(template: str, expected: str) -> None:
    known = {"HOST": written("h", "/.env", 5), "EMPTY": unwritten("")}
    assert interpolated(unwritten(template), known).text == expected


def test_an_address_out_of_a_default_has_no_place_and_is_refused() -> None:
    known = {"DB_HOST": written("10.0.0.1", "/.env", 8)}
    traced = interpolated(written("p://a:S3CRET@${DB_HOST:-10.9.9.9}/b", "/c.yml", 0), known)
    with pytest.raises(SettingsError, match="comes from no file") as refused:
        list(value(URL, traced, "here").edits(NEW, "here"))
    assert "S3CRET" not in str(refused.value)


def test_two_edits_of_one_place_are_one_and_contradicting_ones_are_refused() -> None:
    file = TextFile("/x", b"0123456789")
    assert merged(file, [Edit(1, 2, "a", "x"), Edit(1, 2, "a", "y")]) == (Edit(1, 2, "a", "x, y"),)
    for second in (Edit(1, 2, "b"), Edit(1, 3, "a"), Edit(0, 2, "a")):
        with pytest.raises(SettingsError):
            merged(file, [Edit(1, 2, "a"), second])


texts = st.text(st.characters(codec="utf-8"), max_size=60)


@given(texts, st.lists(st.tuples(st.integers(0, 60), st.integers(0, 5), texts), max_size=4))
def test_the_words_for_the_host_make_the_same_bytes(
    text: str, wishes: list[tuple[int, int, str]]
) -> None:
    edits, at = [], 0
    for skip, length, new in wishes:
        start = at + skip
        if start + length <= len(text):
            edits.append(Edit(start, start + length, new))
            at = start + length
    words, content, out, at = pieces(text, edits), text.encode(), b"", 0
    for offset, length, new in zip(words[::3], words[1::3], words[2::3], strict=True):
        out += content[at : int(offset)] + new.encode()
        at = int(offset) + int(length)
    assert out + content[at:] == edited(text, edits)


keys = st.from_regex(r"[A-Z][A-Z_]{0,6}", fullmatch=True).filter(lambda key: key != "DATABASE_URL")
scalars = st.text(st.characters(codec="utf-8", exclude_categories=["C"], max_codepoint=0x2000))
tail = st.sampled_from(["", "  # S3CRET comment", " "])
passwords = st.text(
    st.characters(codec="ascii", exclude_categories=["C", "Z"], exclude_characters="/?#@$"),
    max_size=12,
)


@given(
    st.dictionaries(keys, scalars, max_size=4),
    st.dictionaries(keys, scalars, max_size=4),
    passwords,
    st.sampled_from(["json", "single"]),
    tail,
    st.sampled_from(["\n", "\r\n"]),
)
def test_whatever_stands_around_it_only_the_address_changes(
    before: dict[str, str],
    after: dict[str, str],
    password: str,
    style: str,
    comment: str,
    ending: str,
) -> None:
    url = f"postgresql://apio:S3CRET{password}@10.0.0.1:5432/apio"
    quoted = json.dumps(url) if style == "json" else "'" + url.replace("'", "''") + "'"
    rows = [f"      {key}: {json.dumps(text)}" for key, text in before.items()]
    rows.append(f"      DATABASE_URL: {quoted}{comment}")
    rows += [f"      {key}: {json.dumps(text)}" for key, text in after.items() if key not in before]
    text = ending.join(["services:", "  core:", "    environment:", *rows, ""])
    file = TextFile("/c.yml", text.encode())
    new, shown = change(file, found(file))
    matcher = difflib.SequenceMatcher(None, text, new.decode(), autojunk=False)
    touched = [code for code in matcher.get_opcodes() if code[0] != "equal"]
    assert len(touched) == 1
    assert new.decode().replace("@10.0.0.2:5432", "@10.0.0.1:5432") == text
    assert "S3CRET" not in shown
    loaded = YAML(typ="safe", pure=True).load(new.decode())["services"]["core"]["environment"]
    assert loaded["DATABASE_URL"] == url.replace("10.0.0.1", "10.0.0.2")
