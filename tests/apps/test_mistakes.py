"""A thousand random mistakes in a configuration: what is said names file, key and what is allowed.

They are made from the tables that the configurations are checked against.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pynetdicom.apps import workflow_config
from pynetdicom.apps.access import ACCESS, NEEDED
from pynetdicom.apps.archive import config as archive_config
from pynetdicom.apps.configuring import Check, ConfigError, Sections, allowed_by

MISTAKES = 1000
VALUES = {
    "[archive] ae_title": '"ARCHIVE"',
    "[archive] bind_address": '"127.0.0.1"',
    "[archive] unknown_peers": '["store", "find"]',
    "[workflows] ae_title": '"RIS"',
    "[workflows] known_peers_only": "false",
    "[mpps] notify": "[]",
    "[worklist] removed_by": '["DISCONTINUED"]',
    "[worklist] names": '"exact"',
    "[ups] watchers": "[]",
    "[commitment] retrieve_ae_title": '"ARCHIVE"',
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


@dataclass(frozen=True)
class App:
    """What has a configuration.

    Attributes
    ----------
    sections, peer
        Its tables.
    load : callable
    beside : mapping
        Texts that are wrong by several keys, by themselves: what the message has to say.
    """

    sections: Sections
    peer: Mapping[str, Check]
    load: Callable[[str], Any]
    beside: Mapping[str, list[str]]

    @property
    def tables(self) -> dict[str, Mapping[str, Check]]:
        return {
            **{
                f"[{one}]": {key: check for key, (_, check) in keys.items()}
                for one, keys in self.sections.items()
            },
            "[[peer]]": self.peer,
            "[[access]]": ACCESS,
        }


APPS = {
    "qrscp": App(archive_config.SECTIONS, archive_config.PEER, archive_config.load, {}),
    "workflowscp": App(
        workflow_config.SECTIONS,
        workflow_config.PEER,
        workflow_config.load,
        {
            "[workflows]\nknown_peers_only = true\n": [
                "[workflows] known_peers_only",
                "there is no [[peer]]",
            ],
            "[mpps]\nnotify = ['X']\n": ["[mpps] notify", "there is no [[peer]] 'X'"],
            "[ups]\nwatchers = ['X']\n": ["[ups] watchers", "there is no [[peer]] 'X'"],
        },
    ),
}


def fits(check: Check, written: str) -> bool:
    import tomllib

    try:
        check(tomllib.loads(f"x = {written}")["x"])
    except (ValueError, TypeError):
        return False
    return True


def right(app: App, section: str, key: str) -> str:
    """A value that a key may have."""
    check = app.tables[section][key]
    (value, *_) = [
        one for one in (VALUES.get(f"{section} {key}"), *USUAL) if one and fits(check, one)
    ]
    return value


Line = tuple[str, str]
"""A key, and its value as it is written."""


def document(app: App, chance: random.Random) -> list[tuple[str, list[Line]]]:
    """A configuration without mistakes: some sections, with some of their keys."""
    found: list[tuple[str, list[Line]]] = []
    for section in chance.sample(list(app.tables), chance.randint(1, len(app.tables))):
        needed = {
            "[[peer]]": ["ae_title", "address"],
            "[[access]]": [*NEEDED],
            "[tls]": app.sections["tls"],
        }
        keys = [key for key in app.tables[section] if chance.random() < 0.4]
        keys = list(dict.fromkeys([*needed.get(section, ()), *keys]))
        found.append((section, [(key, right(app, section, key)) for key in keys]))
    if "[tls]" not in [section for section, _ in found]:
        found.append(("[tls]", [(key, right(app, "[tls]", key)) for key in app.tables["[tls]"]]))
    return found


def written(parts: list[tuple[str, list[Line]]]) -> str:
    lines = []
    for section, keys in parts:
        lines += [section, *(f"{key} = {value}" for key, value in keys)]
    return "\n".join(lines) + "\n"


Parts = list[tuple[str, list[Line]]]
Said = tuple[str, list[str]]
"""A text, and what the message has to say."""


def wrong_value(app: App, parts: Parts, chance: random.Random) -> Said:
    section, keys = chance.choice([part for part in parts if part[1]])
    at = chance.randrange(len(keys))
    key = keys[at][0]
    check = app.tables[section][key]
    keys[at] = (key, chance.choice([one for one in WRONG if not fits(check, one)]))
    return written(parts), [section, key, allowed_by(check)]


def unknown_key(app: App, parts: Parts, chance: random.Random) -> Said:
    section, keys = chance.choice(parts)
    key = chance.choice(UNKNOWN)
    keys.insert(chance.randint(0, len(keys)), (key if key.isascii() else f'"{key}"', "1"))
    return written(parts), [section, key.strip('"'), "there are", ", ".join(app.tables[section])]


def unknown_section(app: App, parts: Parts, chance: random.Random) -> Said:
    section = chance.choice(["archives", "peers", "Archive", "x.y", "limit"])
    is_list = chance.random() < 0.3
    parts.insert(
        chance.randint(0, len(parts)), (f"[[{section}]]" if is_list else f"[{section}]", [])
    )
    return written(parts), [
        f"[{section.split('.')[0]}]",
        f"there are {', '.join([*app.sections][:3])}",
    ]


def twice(app: App, parts: Parts, chance: random.Random) -> Said:
    _section, keys = chance.choice([part for part in parts if part[1]])
    key, value = chance.choice(keys)
    keys.insert(chance.randint(0, len(keys)), (key, value))
    return written(parts), [f", {key}: ", "each section and key is there once"]


def section_twice(app: App, parts: Parts, chance: random.Random) -> Said:
    section, keys = chance.choice([part for part in parts if not part[0].startswith("[[")])
    parts.append((section, keys))
    return written(parts), [section, "each section and key is there once"]


def same_name(app: App, parts: Parts, chance: random.Random) -> Said:
    section = chance.choice(["[[peer]]", "[[access]]"])
    first = "ae_title" if section == "[[peer]]" else "name"
    parts = [part for part in parts if part[0] != section]
    needed = [
        (key, right(app, section, key)) for key in (first, "may") if key in app.tables[section]
    ]
    parts += [(section, needed), (section, needed)]
    return written(parts), [f"{section} number 2 {first}", "is there already; each has one of its"]


def missing(app: App, parts: Parts, chance: random.Random) -> Said:
    section, key = chance.choice(
        [("[[peer]]", "ae_title"), *(("[[access]]", one) for one in NEEDED)]
    )
    others = [one for one in ("ae_title", *NEEDED) if one in app.tables[section] and one != key]
    parts = [part for part in parts if part[0] != section]
    parts.append((section, [(one, right(app, section, one)) for one in others]))
    allowed = allowed_by(app.tables[section][key])
    return written(parts), [section, f"{key} is missing", allowed]


def section_as_key(app: App, parts: Parts, chance: random.Random) -> Said:
    section = chance.choice(list(app.sections))
    parts = [part for part in parts if part[0] != f"[{section}]"]
    keys = ", ".join(app.sections[section])
    return f"{section} = 1\n{written(parts)}", [section, f"is a section, [{section}]", keys]


def list_as_section(app: App, parts: Parts, chance: random.Random) -> Said:
    section = chance.choice(["peer", "access"])
    parts = [part for part in parts if part[0] != f"[[{section}]]"]
    how = chance.choice([f"[{section}]\n", f"{section} = 1\n", f"{section} = [1]\n"])
    return how + written(parts), [section, f"each {section} has a section [[{section}]]"]


def no_toml(app: App, parts: Parts, chance: random.Random) -> Said:
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


def beside_the_file(app: App, parts: Parts, chance: random.Random) -> Said:
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
    tables |= app.beside
    text = chance.choice(list(tables))
    taken = ("[tls]", "[identity]", "[[peer]]", "[[access]]", text.partition("\n")[0])
    others = [part for part in parts if part[0] not in taken]
    return written(others) + text, tables[text]


KINDS: tuple[Callable[[App, Parts, random.Random], Said], ...] = (
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


def mistakes(app: App, kind: int) -> Iterator[Said]:
    chance = random.Random(f"mistakes {kind}")
    for _ in range(MISTAKES // len(KINDS) + 1):
        yield KINDS[kind](app, document(app, chance), chance)


@pytest.mark.parametrize("name", APPS)
def test_what_is_right_is_taken(tmp_path: Path, name: str) -> None:
    """Or else the mistakes would be others."""
    app, path = APPS[name], tmp_path / "scp.toml"
    chance = random.Random(1)
    for _ in range(100):
        path.write_text(written(document(app, chance)), encoding="utf-8")
        assert app.load(str(path)).tls_authorities
    everything: Any = [
        (section, [(key, right(app, section, key)) for key in app.tables[section]])
        for section in app.tables
    ]
    path.write_text(written(everything), encoding="utf-8")
    assert app.load(str(path)).access


@pytest.mark.parametrize("name", APPS)
@pytest.mark.parametrize(
    "kind", range(len(KINDS)), ids=lambda kind: f"{kind}-{KINDS[kind].__name__}"
)
def test_random_mistakes(tmp_path: Path, name: str, kind: int) -> None:
    app, path = APPS[name], tmp_path / "scp.toml"
    for text, due in mistakes(app, kind):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError) as caught:
            app.load(str(path))
        said = str(caught.value)
        assert said.startswith(f"{path}: "), text
        assert "\n" not in said, said
        assert len(said) < 1500, said
        for what in due:
            assert what[:60] in said, (text, due, said)
