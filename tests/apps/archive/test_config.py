"""The configuration: each key is checked, and an error says file, key and what is allowed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from pynetdicom.access import ROLES, Granted, Limits, Rule
from pynetdicom.apps.archive import config
from pynetdicom.apps.archive.config import Config, Peer, access_rules, load, override
from pynetdicom.apps.configuring import ConfigError
from pynetdicom.apps.qrscp import make_parser

FULL = """
[archive]
ae_title = "ARCHIVE"
bind_address = "127.0.0.1"
port = 104
workers = 4
unknown_peers = []
[limits]
maximum_associations = 20
maximum_object_bytes = 1000000
max_pdu = 0
maximum_unassociated = 100
maximum_unassociated_per_address = 20
maximum_associations_per_peer = 10
maximum_command_bytes = 4096
maximum_query_seconds = 30
maximum_matches = 500
acse_timeout = 5
dimse_timeout = 6.5
network_timeout = 7
connection_timeout = 8
[storage]
location = "s3://bucket/objects"
sync = true
hash_uids = true
quota = "500 GB"
reserve = 1000
[database]
location = "postgresql+psycopg://archive@db/archive"
[worklist]
directory = "worklist"
[matching]
names = "exact"
[commitment]
store = "commitment.sqlite"
verify = "bytes"
[tls]
certificate = "cert.pem"
key = "key.pem"
authorities = "/etc/ca.pem"
crl = "crl.pem"
profile = "bcp195-modified"
clients = "verify"
plain_too = true
[identity]
passwords = "users"
in_clear = true
[[access]]
name = "modalities"
calling = ["CT*"]
called = ["ARCHIVE"]
networks = ["10.1.0.0/16", "fd00::1"]
certificate = ["dicom:{calling}", "CN=ct1,*"]
may = ["echo", "store"]
maximum_associations = 5
maximum_associations_per_peer = 2
maximum_object_bytes = 1000
max_pdu = 16384
maximum_command_bytes = 2048
maximum_query_seconds = 0.5
maximum_matches = 50
[[access]]
name = "readers"
may = ["find", "retrieve"]
destinations = ["WS*"]
[[peer]]
ae_title = "CT1"
may = ["store"]
[[peer]]
ae_title = "WORKSTATION"
address = "192.0.2.7"
port = 11113
tls = true
may = ["find", "get", "move"]
network_timeout = 60
connection_timeout = 3
"""


def write(tmp_path: Path, text: str, name: str = "q.toml") -> str:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_every_key(tmp_path: Path) -> None:
    found = load(write(tmp_path, FULL))
    peers = {
        "CT1": Peer("CT1", may=frozenset({"store"})),
        "WORKSTATION": Peer(
            "WORKSTATION", "192.0.2.7", 11113, tls=True,
            may=frozenset({"find", "get", "move"}), network_timeout=60.0, connection_timeout=3.0,
        ),
    }  # fmt: skip
    access = (
        Rule(
            "modalities", calling=["CT*"], called=["ARCHIVE"], networks=["10.1.0.0/16", "fd00::1"],
            certificate=["dicom:{calling}", "CN=ct1,*"], may=["echo", "store"],
            limits=Limits(
                associations=5, associations_per_peer=2, object_bytes=1000, pdu_length=16384,
                command_set_bytes=2048, query_seconds=0.5, matches=50,
            ),
        ),
        Rule("readers", may=["find", "retrieve"], destinations=["WS*"]),
    )  # fmt: skip
    assert found == Config(
        ae_title="ARCHIVE", bind_address="127.0.0.1", port=104, workers=4, maximum_associations=20,
        maximum_object_bytes=1000000, max_pdu=0, acse_timeout=5.0, dimse_timeout=6.5,
        network_timeout=7.0, connection_timeout=8.0, unknown_peers=frozenset(),
        instance_location="s3://bucket/objects", sync=True, hash_uids=True,
        quota=500 * 10**9, reserve=1000,
        database_location="postgresql+psycopg://archive@db/archive",
        worklist_directory=str(tmp_path / "worklist"), exact_names=True,
        commitment_store=str(tmp_path / "commitment.sqlite"), verify_bytes=True,
        tls_certificate=str(tmp_path / "cert.pem"), tls_key=str(tmp_path / "key.pem"),
        tls_authorities="/etc/ca.pem", tls_crl=str(tmp_path / "crl.pem"),
        tls_profile="bcp195-modified", tls_peers="verify",
        tls_plain_too=True, passwords=str(tmp_path / "users"), password_in_clear=True, peers=peers,
        access=access, maximum_unassociated=100, maximum_unassociated_per_address=20,
        maximum_associations_per_peer=10, maximum_command_bytes=4096, maximum_query_seconds=30.0,
        maximum_matches=500,
    )  # fmt: skip
    assert found.names_peers
    named = {name for rules in config.SECTIONS.values() for name, _ in rules.values()}
    assert named | {"peers", "access"} == {field.name for field in dataclasses.fields(Config)}


@pytest.mark.parametrize("seconds", ["inf", "1e9", "1e300", "2147484", "1" + "0" * 400])
def test_time_outs_of_any_length(tmp_path: Path, seconds: str) -> None:
    read = load(write(tmp_path, f"[limits]\nacse_timeout = {seconds}"))
    assert read.acse_timeout == float(seconds)


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    default = Config(
        instance_location=str(tmp_path / "instances"),
        database_location=str(tmp_path / "instances.sqlite"),
    )
    assert load(write(tmp_path, "")) == default
    assert load(write(tmp_path, "", "q.ini")) == default
    assert (default.ae_title, default.port) == ("QRSCP", 11112)


HERE, THERE = "127.0.0.1", "192.0.2.1"
ALL = frozenset(ROLES)
ECHO = frozenset({"echo"})
PEERS = {
    "A": Peer("A", may=frozenset({"find"})),
    "B": Peer("B", "192.0.2.1"),
    "N": Peer("N", may=frozenset()),
    "ST*R": Peer("ST*R", may=frozenset({"get"})),
}
LOCAL = (Rule("wards", networks=["10.0.0.0/8"], may=["query"]),)
STORES = frozenset({"store"})
DOES = ALL - {"mpps", "ups", "print", "other"}
"""What OPERATIONS are."""


@pytest.mark.parametrize(
    ("said", "address", "calling", "may"),
    [
        # Nothing is said of anybody.
        (Config(), HERE, "X", ALL),
        (Config(), "::1", "X", ALL),
        (Config(), "::ffff:127.0.0.1", "X", ALL),
        (Config(), THERE, "X", ECHO),
        # unknown_peers is for this machine, too.
        (Config(unknown_peers=frozenset()), HERE, "X", ECHO),
        (Config(unknown_peers=STORES), HERE, "X", {"echo", "store", "commitment"}),
        (Config(unknown_peers=STORES), THERE, "X", {"echo", "store", "commitment"}),
        # Peers.
        (Config(peers=PEERS), THERE, "A", {"echo", "query", "worklist"}),
        (Config(peers=PEERS), HERE, "A", {"echo", "query", "worklist"}),
        (Config(peers=PEERS), THERE, "B", DOES),
        (Config(peers=PEERS), THERE, "N", ECHO),
        (Config(peers=PEERS), THERE, "ST*R", {"echo", "get"}),
        (Config(peers=PEERS), THERE, "STAR", ECHO),
        (Config(peers=PEERS), HERE, "STAR", ALL),
        # Rules come first, and a peer without `may` is a destination only.
        (Config(peers=PEERS, access=LOCAL), "10.1.1.1", "A", {"query"}),
        (Config(peers=PEERS, access=LOCAL), THERE, "A", {"echo", "query", "worklist"}),
        (Config(peers=PEERS, access=LOCAL), THERE, "B", ECHO),
        (Config(peers=PEERS, access=LOCAL), HERE, "B", ALL),
        (Config(access=LOCAL, unknown_peers=STORES), THERE, "B", {"echo", "store", "commitment"}),
    ],
)
def test_who_may_do_what(said: Config, address: str, calling: str, may: Any) -> None:
    decided = access_rules(said).decide(address, calling, "QRSCP")
    assert isinstance(decided, Granted)
    assert {role for role in ROLES if role in decided._roles} == set(may)


def test_limits_of_the_rules() -> None:
    said = Config(maximum_matches=5, maximum_query_seconds=2.0, maximum_unassociated=7)
    rules = access_rules(said)
    assert rules.limits == Limits(matches=5, query_seconds=2.0)
    assert (rules.unassociated, rules.unassociated_per_address) == (7, None)


ACCESS = "[[access]]\nname = 'X'\nmay = []\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[archive]\nprot = 1", "[archive] prot: there is no such key; there are ae_title, bind_"),
        ("[archive]\nport = 70000", "[archive] port: 70000 is not a whole number from 0 to 65535"),
        ("[archive]\nport = true", "[archive] port: True is not a whole number"),
        ("[archive]\nport = '1'", "[archive] port: '1' is not a whole number"),
        ("[archive]\nae_title = ''", "[archive] ae_title: '' is not an AE title: 1 to 16"),
        ("[archive]\nae_title = 1", "[archive] ae_title: 1 is not an AE title"),
        ("[archive]\nunknown_peers = ['x']", "is not a list of some of store, find, get, move"),
        ("[limits]\nacse_timeout = -1", "[limits] acse_timeout: -1 is not seconds, 0 or more"),
        ("[limits]\nacse_timeout = nan", "[limits] acse_timeout: nan is not seconds"),
        ("[storage]\nhash_uids = 1", "[storage] hash_uids: 1 is not true or false"),
        *(
            (
                f"[storage]\n{key} = {value!r}",
                f"[storage] {key}: {value!r} is not a number of bytes",
            )
            for key, value in (
                ("quota", 0),
                ("quota", "1 light-year"),
                ("quota", "1 iB"),
                ("reserve", -1),
            )
        ),
        ("[storage]\nsync = 1", "[storage] sync: 1 is not true or false"),
        ("[storage]\nlocation = ' '", "[storage] location: ' ' is not a text that is not empty"),
        ("[matching]\nnames = 'x'", "[matching] names: 'x' is not folded or exact"),
        ("[tls]\nkey = 'k'", "[tls] key: needs a certificate too"),
        ("[archives]\n", "[archives]: there is no such section; there are archive, limits"),
        ("port = 1", "[port]: there is no such section"),
        ("[peer]\nae_title = 'X'", "each peer has a section [[peer]]"),
        ("[[peer]]\nport = 1", "[[peer]] number 1: ae_title is missing"),
        ("[[peer]]\nae_title = 'X'\nprt = 1", "[[peer]] number 1 prt: there is no such key"),
        ("[[peer]]\nae_title = 'X'\nmay = 'find'", "[[peer]] number 1 may: 'find' is not a list"),
        ("[[peer]]\nae_title='X'\n[[peer]]\nae_title='X'", "number 2 ae_title: 'X' is there alre"),
        ("[archive\n", "line 1, [archive: Expected ']'"),
        ("port 1", "line 1, port 1: Expected '='"),
        (
            "[archive]\nport = 1\nport = 2",
            "line 3, port: Cannot overwrite a value: each section and",
        ),
        ("[tls]\n[tls]", "line 2, [tls]: Cannot declare ('tls',) twice: each section and key is"),
        ("[archive]\nport = x", "line 2, port: Invalid value: a line is [section]"),
        ("[limits]\nmaximum_query_seconds = 0", "0 is not seconds, more than 0"),
        ("[access]\nname = 'X'", "each access has a section [[access]]"),
        ("[[access]]\nname = 'X'", "[[access]] number 1: may is missing: a list of some of echo"),
        ("[[access]]\nmay = []", "[[access]] number 1: name is missing: a text of one line"),
        (f"{ACCESS}nam = 1", "[[access]] number 1 nam: there is no such key; there are name, may"),
        (f"{ACCESS}networks = ['10.1.0.1/16']", "networks: ['10.1.0.1/16'] is not a list of netw"),
        (f"{ACCESS}networks = []", "networks: [] is not a list of networks such as 10.1.0.0/16"),
        (f"{ACCESS}calling = 'CT*'", "calling: 'CT*' is not a list of AE titles, in which * and ?"),
        (f"{ACCESS}certificate = ['x']", "certificate: ['x'] is not a list of some of dicom:TITLE"),
        (f"{ACCESS}certificate = ['CN=x']", "certificate: needs [tls] authorities"),
        (f"{ACCESS}max_pdu = -1", "max_pdu: -1 is not a whole number from 0"),
        (f"{ACCESS}{ACCESS}", "[[access]] number 2 name: 'X' is there already"),
        ("[[access]]\nname = '[[peer]] A'\nmay = []", "does not begin with ["),
        ("[[access]]\nname = 'X'\nmay = ['C-STORE']", "may: ['C-STORE'] is not a list of some of"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_bytes(b"\xff")
    for path in (tmp_path / "missing.toml", tmp_path, tmp_path / "b.toml"):
        with pytest.raises(ConfigError, match=f"^{path}: "):
            load(str(path))


INI = """
[DEFAULT]
ae_title = OLD
port = 11119
max_pdu = 16382
acse_timeout = 30
dimse_timeout = 31
network_timeout = 32.5
bind_address =
instance_location = ./instances
database_location = /data/%index.sqlite
log_identifier = True
[STORESCP]
    address = 127.0.0.1
    port = 11113
[123]
address = ::1
port = 104
"""


def test_the_ini_file_of_3_0(tmp_path: Path) -> None:
    found = load(write(tmp_path, INI, "default.ini"))
    assert found == Config(
        ae_title="OLD",
        port=11119,
        max_pdu=16382,
        dimse_timeout=31.0,
        network_timeout=32.5,
        instance_location=str(tmp_path / "./instances"),
        database_location="/data/%index.sqlite",
        peers={
            "STORESCP": Peer("STORESCP", "127.0.0.1", 11113),
            "123": Peer("123", "::1", 104),
        },
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[DEFAULT]\nprt = 1", "[DEFAULT] prt: there is no such key; there are ae_title, port"),
        ("[DEFAULT]\nport = x", "[DEFAULT] port: 'x' is not a whole number"),
        ("[DEFAULT]\nport = 1\n[X]\naddress = a", "[X]: a move destination has address and port"),
        ("[X]\nport = 1", "[X]: a move destination has address and port"),
        ("[X]\naddress = a\nport = 0", "[X] port: 0 is not a whole number from 1"),
        ("[X]\naddress = a\nport = 1\ntls = yes", "[X] tls: there is no such key"),
        ("[A_TITLE_THAT_IS_TOO_LONG]\naddress = a\nport = 1", "is not an AE title"),
        ("port = 1", "(a TOML file has a name that ends in .toml)"),
    ],
)
def test_mistakes_in_an_ini_file(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text, "q.ini")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_the_command_line_comes_first() -> None:
    changes: dict[str, Any] = {"port": 0, "ae_title": None, "verbose": True, "workers": 2}
    assert override(Config(ae_title="A"), changes) == Config(ae_title="A", port=0, workers=2)


@pytest.mark.parametrize("in_file", [True, False])
@pytest.mark.parametrize("flags", [[], ["--hash-uids"]])
def test_a_flag_that_is_not_given_leaves_the_file_alone(flags: list[str], in_file: bool) -> None:
    given = vars(make_parser().parse_args(flags))
    assert override(Config(hash_uids=in_file), given).hash_uids == (in_file or bool(flags))
