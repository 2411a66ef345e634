"""A thousand random mistakes in a configuration: what is said names file, key and what is allowed.

They are made from the tables that the configuration is checked against.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pynetdicom.apps.access import ACCESS, NEEDED
from pynetdicom.apps.archive.config import PEER, SECTIONS, load
from pynetdicom.apps.configuring import Check, ConfigError, allowed_by

MISTAKES = 1000
VALUES = {
    "[archive] ae_title": '"ARCHIVE"',
    "[archive] bind_address": '"127.0.0.1"',
    "[archive] unknown_peers": '["store", "find"]',
    "[matching] names": '"exact"',
    "[commitment] verify": '"bytes"',
    "[tls] profile": '"bcp195-modified"',
    "[tls] clients": '"verify"',
    "[[peer]] ae_title": '"WS"',
    "[[peer]] may": '["get"]',
    "[[access]] name": '"modalities"',
    "[[access]] may": '["echo", "retrieve"]',
    "[[access]] networks": '["10.1.0.0/16"]',
    "[[access]] certificate": '["dicom:{calling}"]',
}
"""What is right, where it is none of `USUAL`."""

USUAL = ("1", "true", '"x"', '["X*"]')
WRONG = (
    *('""', '" "', '"x\\u0000"', '"\\n"', '"[x]"', "-1", "0", "1.5", "-0.5", "nan", "inf", "1e400"),
    *("99999999999", "true", "false", "[]", "{}", "{a = 1}", "[1]", '["x", 1]', '[""]', "[[]]"),
    *('"host with spaces in it"', '"AE\\\\TITLE"', "1979-05-27", "07:32:00", '["10.1.0.1/16"]'),
    *('["a:b"]', '"yes"', "0x10", '["store", "fly"]', '"store"', '["CN"]'),
)
UNKNOWN = ("prot", "Port", "ae-title", "may_not", "network", "x" * 300, '""', "naïve", '"a b"')

Rows = dict[str, dict[str, Check]]
TABLES: Rows = {
    **{
        f"[{one}]": {key: check for key, (_, check) in keys.items()}
        for one, keys in SECTIONS.items()
    },
    "[[peer]]": PEER,
    "[[access]]": ACCESS,
}


def fits(check: Check, written: str) -> bool:
    import tomllib

    try:
        check(tomllib.loads(f"x = {written}")["x"])
    except (ValueError, TypeError):
        return False
    return True


def right(section: str, key: str) -> str:
    """A value that a key may have."""
    check = TABLES[section][key]
    (value, *_) = [
        one for one in (VALUES.get(f"{section} {key}"), *USUAL) if one and fits(check, one)
    ]
    return value


Line = tuple[str, str]
"""A key, and its value as it is written."""


def document(chance: random.Random) -> list[tuple[str, list[Line]]]:
    """A configuration without mistakes: some sections, with some of their keys."""
    found: list[tuple[str, list[Line]]] = []
    for section in chance.sample(list(TABLES), chance.randint(1, len(TABLES))):
        needed = {
            "[[peer]]": ["ae_title", "address"],
            "[[access]]": [*NEEDED],
            "[tls]": SECTIONS["tls"],
        }
        keys = [key for key in TABLES[section] if chance.random() < 0.4]
        keys = list(dict.fromkeys([*needed.get(section, ()), *keys]))
        found.append((section, [(key, right(section, key)) for key in keys]))
    if "[tls]" not in [section for section, _ in found]:
        found.append(("[tls]", [(key, right("[tls]", key)) for key in TABLES["[tls]"]]))
    return found


def written(parts: list[tuple[str, list[Line]]]) -> str:
    lines = []
    for section, keys in parts:
        lines += [section, *(f"{key} = {value}" for key, value in keys)]
    return "\n".join(lines) + "\n"


Parts = list[tuple[str, list[Line]]]
Said = tuple[str, list[str]]
"""A text, and what the message has to say."""


def wrong_value(parts: Parts, chance: random.Random) -> Said:
    section, keys = chance.choice([part for part in parts if part[1]])
    at = chance.randrange(len(keys))
    key = keys[at][0]
    check = TABLES[section][key]
    keys[at] = (key, chance.choice([one for one in WRONG if not fits(check, one)]))
    return written(parts), [section, key, allowed_by(check)]


def unknown_key(parts: Parts, chance: random.Random) -> Said:
    section, keys = chance.choice(parts)
    key = chance.choice(UNKNOWN)
    keys.insert(chance.randint(0, len(keys)), (key if key.isascii() else f'"{key}"', "1"))
    return written(parts), [section, key.strip('"'), "there are", ", ".join(TABLES[section])]


def unknown_section(parts: Parts, chance: random.Random) -> Said:
    section = chance.choice(["archives", "peers", "Archive", "x.y", "limit"])
    is_list = chance.random() < 0.3
    parts.insert(
        chance.randint(0, len(parts)), (f"[[{section}]]" if is_list else f"[{section}]", [])
    )
    return written(parts), [f"[{section.split('.')[0]}]", "there are archive, limits, storage"]


def twice(parts: Parts, chance: random.Random) -> Said:
    _section, keys = chance.choice([part for part in parts if part[1]])
    key, value = chance.choice(keys)
    keys.insert(chance.randint(0, len(keys)), (key, value))
    return written(parts), [f", {key}: ", "each section and key is there once"]


def section_twice(parts: Parts, chance: random.Random) -> Said:
    section, keys = chance.choice([part for part in parts if not part[0].startswith("[[")])
    parts.append((section, keys))
    return written(parts), [section, "each section and key is there once"]


def same_name(parts: Parts, chance: random.Random) -> Said:
    section = chance.choice(["[[peer]]", "[[access]]"])
    first = "ae_title" if section == "[[peer]]" else "name"
    parts = [part for part in parts if part[0] != section]
    needed = [(key, right(section, key)) for key in (first, "may")]
    parts += [(section, needed), (section, needed)]
    return written(parts), [f"{section} number 2 {first}", "is there already; each has one of its"]


def missing(parts: Parts, chance: random.Random) -> Said:
    section, key = chance.choice(
        [("[[peer]]", "ae_title"), *(("[[access]]", one) for one in NEEDED)]
    )
    others = [one for one in ("ae_title", *NEEDED) if one in TABLES[section] and one != key]
    parts = [part for part in parts if part[0] != section]
    parts.append((section, [(one, right(section, one)) for one in others]))
    allowed = allowed_by(TABLES[section][key])
    return written(parts), [section, f"{key} is missing", allowed]


def section_as_key(parts: Parts, chance: random.Random) -> Said:
    section = chance.choice(list(SECTIONS))
    parts = [part for part in parts if part[0] != f"[{section}]"]
    keys = ", ".join(SECTIONS[section])
    return f"{section} = 1\n{written(parts)}", [section, f"is a section, [{section}]", keys]


def list_as_section(parts: Parts, chance: random.Random) -> Said:
    section = chance.choice(["peer", "access"])
    parts = [part for part in parts if part[0] != f"[[{section}]]"]
    how = chance.choice([f"[{section}]\n", f"{section} = 1\n", f"{section} = [1]\n"])
    return how + written(parts), [section, f"each {section} has a section [[{section}]]"]


def no_toml(parts: Parts, chance: random.Random) -> Said:
    _section, keys = chance.choice([part for part in parts if part[1]])
    at = chance.randrange(len(keys))
    key, value = keys[at]
    wrong = chance.choice(
        ("", f"{value} x", '"', "[1, 2", "yes", "01", "'a", "{a = 1", "1.", '"\\q"', "=", "1__0")
    )
    keys[at] = (key, wrong)
    # What is not closed is seen where it ends.
    where = "line " if wrong in ("[1, 2", "'a") else f", {key}: "
    return written(parts), ["line ", where, "a line is [section]"]


def beside_the_file(parts: Parts, chance: random.Random) -> Said:
    """What depends on several keys."""
    due = ["[[access]] number 1 certificate", "needs [tls] authorities"]
    tables = {
        "[tls]\nauthorities = 'ca.pem'\n": ["[tls] authorities", "needs a certificate"],
        "[tls]\nkey = 'a.key'\n": ["[tls] key", "needs a certificate"],
        "[tls]\n": ["[tls]", "needs a certificate"],
        "[[peer]]\nae_title = 'X'\ntls = true\n": ["[[peer]] number 1 tls", "needs an address"],
        "[identity]\npasswords = 'users'\n": ["[identity] passwords", "needs TLS"],
    }
    tables |= {
        f"{tls}[[access]]\nname = 'x'\nmay = []\ncertificate = ['CN=x']\n": due
        for tls in ("[tls]\ncertificate = 'a'\nauthorities = 'b'\nclients = 'ignore'\n", "")
    }
    taken = ("[tls]", "[identity]", "[[peer]]", "[[access]]")
    others = [part for part in parts if part[0] not in taken]
    text = chance.choice(list(tables))
    return written(others) + text, tables[text]


KINDS: tuple[Callable[[Parts, random.Random], Said], ...] = (
    wrong_value,
    wrong_value,
    wrong_value,
    unknown_key,
    unknown_section,
    twice,
    section_twice,
    same_name,
    missing,
    section_as_key,
    list_as_section,
    no_toml,
    beside_the_file,
)


def mistakes(kind: int) -> Iterator[Said]:
    chance = random.Random(f"mistakes {kind}")
    for _ in range(MISTAKES // len(KINDS) + 1):
        yield KINDS[kind](document(chance), chance)


def test_what_is_right_is_taken(tmp_path: Path) -> None:
    """Or else the mistakes would be others."""
    path = tmp_path / "qrscp.toml"
    chance = random.Random(1)
    for _ in range(100):
        path.write_text(written(document(chance)), encoding="utf-8")
        assert load(str(path)).tls_authorities
    everything: Any = [
        (section, [(key, right(section, key)) for key in TABLES[section]]) for section in TABLES
    ]
    path.write_text(written(everything), encoding="utf-8")
    assert load(str(path)).access


@pytest.mark.parametrize(
    "kind", range(len(KINDS)), ids=lambda kind: f"{kind}-{KINDS[kind].__name__}"
)
def test_random_mistakes(tmp_path: Path, kind: int) -> None:
    path = tmp_path / "qrscp.toml"
    for text, due in mistakes(kind):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError) as caught:
            load(str(path))
        said = str(caught.value)
        assert said.startswith(f"{path}: "), text
        assert "\n" not in said, said
        assert len(said) < 1500, said
        for what in due:
            assert what[:60] in said, (text, due, said)
