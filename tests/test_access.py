"""Access rules as values: whom a rule is for, and what it lets them do."""

from __future__ import annotations

import fnmatch
import ipaddress
import sys
from types import FrameType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pynetdicom.access import (
    GROUPS,
    ROLES,
    AccessRules,
    Granted,
    Limits,
    Refused,
    Rule,
    tighter,
)
from pynetdicom.access_patterns import Certificate, address_of, any_certificate, any_glob, networks
from pynetdicom.access_roles import role_of, roles
from pynetdicom.services import classes, registry

CT = "1.2.840.10008.5.1.4.1.1.2"
ECHO = "1.2.840.10008.1.1"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
WORKLIST = "1.2.840.10008.5.1.4.31"
COMMITMENT = "1.2.840.10008.1.20.1"

CERTIFICATE: dict[str, Any] = {
    "subject": (
        (("countryName", "DE"),),
        (("organizationName", "St. Mary, Radiology"),),
        (("organizationalUnitName", "CT"), ("serialNumber", "7")),
        (("commonName", "ct1"),),
    ),
    "subjectAltName": (
        ("DNS", "CT1.example.org"),
        ("URI", "dicom:CT1"),
        ("URI", "DICOM:CT%20TWO"),
        ("URI", "urn:uuid:1"),
    ),
}

RULES = AccessRules(
    [
        Rule("banned", networks=["10.9.0.0/16"], may=()),
        Rule(
            "modalities",
            calling=["CT*", "MR?"],
            called=["ARCHIVE"],
            networks=["10.1.0.0/16", "fd00::/8"],
            may=["echo", "store"],
        ),
        Rule("sealed", networks=["10.2.0.0/16"], certificate=["dicom:{calling}"], may="all"),
        Rule("readers", calling="WS", networks=["10.1.2.3", "loopback"], may=["find", "retrieve"]),
    ]
)
"""Whose outcomes the table has."""

OUTCOMES = [
    # address, calling, called, certificate → rule, or the reason of the rejection
    ("10.1.7.7", "CT1", "ARCHIVE", None, "modalities"),
    ("::ffff:10.1.7.7", "CT1", "ARCHIVE", None, "modalities"),
    ("fd00::1", "MR2", "ARCHIVE", None, "modalities"),
    ("fd00::1%eth0", "MR2", "ARCHIVE", None, "modalities"),
    ("10.1.7.7", "MR", "ARCHIVE", None, 3),
    ("10.1.7.7", "ct1", "ARCHIVE", None, 3),
    ("10.1.7.7", "CT1", "OTHER", None, 7),
    ("10.9.1.1", "CT1", "ARCHIVE", None, 1),
    ("10.2.1.1", "CT1", "X", CERTIFICATE, "sealed"),
    ("10.2.1.1", "CT TWO", "X", CERTIFICATE, "sealed"),
    ("10.2.1.1", "CT2", "X", CERTIFICATE, 1),
    ("10.2.1.1", "CT1", "X", {}, 1),
    ("10.2.1.1", "CT1", "X", None, 1),
    ("10.1.2.3", "WS", "X", None, "readers"),
    ("10.1.2.4", "WS", "X", None, 3),
    ("127.0.0.1", "WS", "X", None, "readers"),
    ("127.8.8.8", "WS", "X", None, "readers"),
    ("::1", "WS", "X", None, "readers"),
    ("::ffff:127.0.0.1", "WS", "X", None, "readers"),
    ("192.0.2.1", "CT1", "ARCHIVE", CERTIFICATE, 1),
    ("", "CT1", "ARCHIVE", CERTIFICATE, 1),
]


@pytest.mark.parametrize(("address", "calling", "called", "certificate", "outcome"), OUTCOMES)
def test_the_rule_that_a_peer_comes_under(
    address: str, calling: str, called: str, certificate: Any, outcome: str | int
) -> None:
    decided = RULES.decide(address, calling, called, lambda: certificate)
    if isinstance(outcome, int):
        assert isinstance(decided, Refused)
        assert decided.reason == outcome
    else:
        assert isinstance(decided, Granted)
        assert (decided.rule, decided.address) == (outcome, address)


@pytest.mark.parametrize(
    ("address", "closed"),
    [
        ("10.9.1.1", "the access rule banned lets nobody in"),
        ("::ffff:10.9.1.1", "the access rule banned lets nobody in"),
        ("10.1.1.1", ""),
        ("10.2.1.1", ""),
        ("::1", ""),
        ("192.0.2.1", "no access rule is for that address"),
        ("somewhere", "no access rule is for that address"),
    ],
)
def test_an_address_that_no_rule_can_be_for(address: str, closed: str) -> None:
    assert RULES.closed_to(address) == closed


def test_a_rule_before_the_one_that_lets_nobody_in() -> None:
    """It may be for a peer of that address, which its titles tell."""
    one, none = Rule("one", calling="A", networks="10.0.0.0/8"), Rule("none", may=[])
    for rules, closed in (([one, none], False), ([none, one], True)):
        assert bool(AccessRules(rules, otherwise=["echo"]).closed_to("10.1.1.1")) == closed
    assert AccessRules([one, none]).decide("10.1.1.1", "B", "X") == Refused(
        1, 1, 1, "the access rule none lets nobody in"
    )


def test_those_whom_no_rule_is_for() -> None:
    rules = AccessRules([Rule("one", networks="10.0.0.0/8")], otherwise=["echo"])
    assert rules.closed_to("192.0.2.1") == ""
    granted = rules.decide("192.0.2.1", "A", "B")
    assert isinstance(granted, Granted)
    assert granted.rule == "otherwise"
    assert granted.may(ECHO, "C-ECHO")
    assert not granted.may(CT, "C-STORE")


def granted(**options: Any) -> Granted:
    found = AccessRules([Rule("r", **options)]).decide("10.0.0.1", "A", "B")
    assert isinstance(found, Granted)
    return found


@pytest.mark.parametrize(
    ("sop_class", "operation", "role"),
    [
        (ECHO, "C-ECHO", "echo"),
        (CT, "C-STORE", "store"),
        ("1.2.3.4.5", "C-STORE", "store"),
        (FIND, "C-FIND", "query"),
        (MOVE, "C-MOVE", "move"),
        ("1.2.840.10008.5.1.4.1.2.2.3", "C-GET", "get"),
        ("1.2.840.10008.5.1.4.38.2", "C-FIND", "query"),
        ("1.2.840.10008.5.1.4.37.1", "C-FIND", "query"),
        (WORKLIST, "C-FIND", "worklist"),
        (COMMITMENT, "N-ACTION", "commitment"),
        (COMMITMENT, "N-EVENT-REPORT", "commitment"),
        ("1.2.840.10008.3.1.2.3.3", "N-CREATE", "mpps"),
        ("1.2.840.10008.5.1.4.34.6.1", "N-CREATE", "ups"),
        ("1.2.840.10008.5.1.4.34.6.5", "C-FIND", "ups"),
        ("1.2.840.10008.5.1.1.1", "N-CREATE", "print"),
        ("1.2.840.10008.5.1.4.33", "N-CREATE", "other"),
    ],
)
def test_roles_of_operations(sop_class: str, operation: str, role: str) -> None:
    assert role_of(sop_class, operation) == role
    assert granted(may=[role]).may(sop_class, operation)
    assert not granted(may=set(ROLES) - {role}).may(sop_class, operation)


def test_each_operation_of_the_standard_has_a_role() -> None:
    found = {
        role_of(uid, operation)
        for service_class in classes.SERVICE_CLASSES
        for uid in service_class.sop_classes
        for operation in registry.operations(uid)
    }
    assert found == set(ROLES)


def test_groups_of_roles() -> None:
    assert roles(["find", "get"]) == {"query", "worklist", "get"}
    assert roles("all") == frozenset(ROLES) == Rule("r").may
    for name, members in GROUPS.items():
        assert roles([name]) == frozenset(members)
    with pytest.raises(ValueError, match=r"'fnd' is none of echo, store, .*, find, retrieve, all"):
        roles(["fnd"])


def test_contexts_that_are_of_use() -> None:
    retrieves = granted(may=["get"])
    assert retrieves.may_have(CT, is_scp=True)  # or else C-GET could send nothing
    assert not retrieves.may_have(CT, is_scp=False)
    assert not retrieves.may_have(COMMITMENT, is_scp=True)
    stores = granted(may=["store"])
    assert stores.may_have(CT, is_scp=False)
    assert stores.may_have("1.2.3.4.5", is_scp=False)  # of no service: taken as storage
    assert not stores.may_have(FIND, is_scp=False)


def test_move_destinations() -> None:
    moves = granted(destinations=["WS*", "ARCHIVE2"])
    assert moves.refusal(MOVE, "C-MOVE", "WS1 ") == ""
    assert moves.refusal(MOVE, "C-MOVE", "ARCHIVE2") == ""
    assert "to that destination" in moves.refusal(MOVE, "C-MOVE", "ARCHIVE")
    assert moves.refusal(MOVE, "C-MOVE", "") != ""
    assert granted().refusal(MOVE, "C-MOVE", "ANY") == ""


TITLES = st.text(st.sampled_from("AB*?[]."), max_size=8)


@given(TITLES, TITLES)
@example("*", "")
@example("A*A", "A")
@example("*AB*AB", "ABAB")
def test_titles_match_as_a_shell_would_have_it(pattern: str, text: str) -> None:
    """``[`` is a character like others."""
    expected = fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))
    assert bool(any_glob([pattern])(text)) == expected
    assert bool(any_glob(["C", pattern])(text)) == expected


def some(*patterns: str) -> st.SearchStrategy[list[str] | None]:
    return st.none() | st.lists(st.sampled_from(patterns), min_size=1, max_size=2)


RANDOM_RULES = st.lists(
    st.builds(
        dict,
        calling=some("A*", "B?", "AB"),
        called=some("X", "*Y"),
        networks=some("10.1.0.0/16", "10.0.0.0/8", "loopback", "fd00::/8"),
        certificate=some("dicom:{calling}", "dicom:A*", "dns:*.b"),
        may=st.sampled_from([(), ("echo",)]),
    ),
    max_size=4,
)


def is_for(rule: dict[str, Any], address: str, calling: str, called: str, title: str) -> list[bool]:
    """Whether each of the conditions of a rule is fulfilled, in their order."""

    def one_of(name: str, fits: Any) -> bool:
        return rule[name] is None or any(map(fits, rule[name]))

    def is_in(network: str) -> bool:
        names = ("127.0.0.0/8", "::1/128") if network == "loopback" else (network,)
        return any(ipaddress.ip_address(address) in ipaddress.ip_network(one) for one in names)

    names = {"dicom:{calling}": title == calling, "dicom:A*": title[:1] == "A", "dns:*.b": False}
    return [
        one_of("networks", is_in),
        one_of("calling", lambda pattern: fnmatch.fnmatchcase(calling, pattern)),
        one_of("called", lambda pattern: fnmatch.fnmatchcase(called, pattern)),
        one_of("certificate", names.__getitem__),
    ]


@given(
    RANDOM_RULES,
    st.sampled_from(["10.1.0.1", "10.2.0.1", "127.0.0.1", "::1", "fd00::1", "192.0.2.1"]),
    st.sampled_from(["AB", "BA", "A", "C"]),
    st.sampled_from(["X", "XY", "Z"]),
    st.sampled_from(["AB", "C", ""]),
    st.booleans(),
)
def test_the_first_rule_counts(
    given_rules: list[dict[str, Any]],
    address: str,
    calling: str,
    called: str,
    title: str,
    others: bool,
) -> None:
    """As somebody would find it who reads the rules from the top."""
    rules = AccessRules(
        [Rule(str(number), **rule) for number, rule in enumerate(given_rules)],
        otherwise=["echo"] if others else (),
    )
    certificate = {"subjectAltName": (("URI", f"dicom:{title}"),)} if title else {}
    decided = rules.decide(address, calling, called, lambda: certificate)
    fulfilled = [is_for(rule, address, calling, called, title) for rule in given_rules]
    first = next((at for at, conditions in enumerate(fulfilled) if all(conditions)), None)
    if first is not None and given_rules[first]["may"]:
        assert isinstance(decided, Granted)
        assert decided.rule == str(first)
    elif first is None and others:
        assert isinstance(decided, Granted)
        assert decided.rule == "otherwise"
    else:
        assert isinstance(decided, Refused)
        got_so_far = max([0, *((*one, False).index(False) for one in fulfilled)])
        assert decided.reason == (1 if first is not None else (1, 3, 7, 1)[got_so_far])
    # Whoever is let in has not been closed to.
    assert not (isinstance(decided, Granted) and rules.closed_to(address))


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    assert not any_glob(["*A" * 30 + "B"])("A" * 5000)


ADDRESSES = st.ip_addresses(v=4)


@given(ADDRESSES, ADDRESSES, st.integers(0, 32))
def test_networks(address: Any, base: Any, bits: int) -> None:
    network = ipaddress.ip_network((base, bits), strict=False)
    expected = address in network
    mapped = f"::ffff:{network.network_address}/{96 + bits}"
    for written in (str(network), mapped):
        found = networks([written])
        assert any(address_of(str(address)) in one for one in found) == expected
        assert any(address_of(f"::ffff:{address}") in one for one in found) == expected


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("dicom:CT1", True),
        ("dicom:CT*", True),
        ("dicom:CT TWO", True),
        ("dicom:CT2", False),
        ("dicom:{calling}", True),
        ("dns:ct1.EXAMPLE.org", True),
        ("dns:*.example.org", True),
        ("dns:example.org", False),
        (r"CN=ct1,OU=CT+serialNumber=7,O=St. Mary\, Radiology,C=DE", True),
        (r"CN=ct1, OU=CT+serialNumber=7, O=St. Mary\, Radiology, C=DE", True),
        ("CN=ct1,*", True),
        ("CN=ct?,*,C=DE", True),
        ("*,C=DE", True),
        (r"*,O=St. Mary\, Radiology,*", True),
        (r"CN=ct1,*,O=St. Mary\, Radiology,*,C=DE", True),
        ("CN=ct1", False),
        ("CN=CT1,*", False),
        # A star in a part is not for what other parts say.
        ("CN=*,C=DE", False),
        ("CN=ct1,O=*,C=DE", False),
        ("CN=ct1,*,C=FR", False),
    ],
)
def test_certificates(pattern: str, fits: bool) -> None:
    found = Certificate.of(CERTIFICATE)
    assert any_certificate([pattern])(found, "CT1") == fits
    assert any_certificate(["dicom:OTHER", pattern])(found, "CT1") == fits
    assert not any_certificate([pattern])(Certificate.of({}), "CT1")


def test_a_name_that_looks_like_several_parts_is_one() -> None:
    subject = ((("commonName", "x,O=Hospital"),),)
    found = Certificate.of({"subject": subject})
    assert not any_certificate(["CN=x,O=Hospital"])(found, "")
    assert not any_certificate(["CN=*,O=Hospital"])(found, "")
    assert any_certificate([r"CN=x\,O=Hospital"])(found, "")
    odd = Certificate.of({"subject": ((("commonName", "#a\0b "),),)})
    assert odd.subject == "CN=\\#a\\00b\\ \0"


def test_a_certificate_is_not_asked_for_in_vain() -> None:
    def ask() -> None:
        raise AssertionError("it was")

    assert isinstance(AccessRules([Rule("r")]).decide("10.0.0.1", "A", "B", ask), Granted)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rule(""), "'name' must be"),
        (lambda: Rule("a\nb"), "'name' must be"),
        (lambda: Rule("r", calling=[]), "'calling' must have one at least, or be None"),
        (lambda: Rule("r", calling=[""]), "'' is no AE title"),
        (lambda: Rule("r", calling=["A\\B"]), "is no AE title"),
        (lambda: Rule("r", calling=[1]), "'calling' must be a sequence of str"),
        (lambda: Rule("r", networks=["10.1.0.1/16"]), "has host bits set"),
        (lambda: Rule("r", networks=["localhost"]), "is no network, such as 10.1.0.0/16"),
        (lambda: Rule("r", certificate=["ct1"]), "is neither dicom:TITLE, dicom:{calling}, dns"),
        (lambda: Rule("r", certificate=["*"]), "is neither"),
        (lambda: Rule("r", certificate=["dicom:"]), "is neither"),
        (lambda: Rule("r", certificate=["CN=a\\"]), "is neither"),
        (lambda: Rule("r", may=["C-STORE"]), "'C-STORE' is none of echo"),
        (lambda: Rule("r", limits=3), "'limits' must be Limits"),
        (lambda: Limits(associations=0), "'associations' must be more than 0"),
        (lambda: Limits(pdu_length=-1), "'pdu_length' must be at least 0"),
        (lambda: Limits(matches=1.5), "'matches' must be int or None"),
        (lambda: Limits(query_seconds=float("nan")), "'query_seconds' must be more than 0"),
        (lambda: AccessRules([Rule("r"), Rule("r")]), "two rules of the name 'r'"),
        (lambda: AccessRules(["r"]), "'rules' must be a sequence of Rule"),
        (lambda: AccessRules([], limits=None), "'limits' must be Limits"),
        (lambda: AccessRules([], otherwise=["x"]), "'x' is none of"),
        (lambda: AccessRules([], unassociated=0), "'unassociated' must be more than 0"),
    ],
)
def test_what_is_no_rule(make: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        make()
    assert message in str(caught.value)


def test_rules_are_values() -> None:
    assert Rule("r", calling=["A"], may=["find"]) == Rule(
        "r", calling=("A",), may={"query", "worklist"}
    )
    assert len({Rule("r"), Rule("r"), Rule("s")}) == 2
    assert AccessRules([Rule("r")]) == AccessRules((Rule("r"),))


@pytest.mark.parametrize(
    ("one", "other", "tightest"),
    [(None, None, None), (0, None, 0), (5, None, 5), (5, 0, 5), (5, 7, 5), (0, 0, 0)],
)
def test_the_tighter_limit(one: int | None, other: int | None, tightest: int | None) -> None:
    assert tighter(one, other) == tighter(other, one) == tightest


def test_limits_of_a_rule_and_of_the_listener() -> None:
    rules = AccessRules(
        [Rule("r", limits=Limits(matches=5, object_bytes=9))],
        limits=Limits(matches=7, pdu_length=0, object_bytes=4),
    )
    found = rules.decide("10.0.0.1", "A", "B")
    assert isinstance(found, Granted)
    assert (found.limits.matches, found.limits.object_bytes) == (5, 4)
    assert (found.object_bytes(None), found.object_bytes(3)) == (4, 3)
    assert (found.pdu_length(0), found.pdu_length(16382)) == (0, 16382)
    assert granted(limits=Limits(pdu_length=4096)).pdu_length(0) == 4096


def test_how_many_associations() -> None:
    few, many = Rule("few", limits=Limits(associations=2)), Rule("many", networks="10.2.0.0/16")
    each = Limits(associations=4, associations_per_peer=3)
    rules = AccessRules([many, few], limits=each)

    def there(*addresses: str) -> list[Granted | None]:
        found = [rules.decide(address, "A", "B") for address in addresses]
        return [one for one in found if isinstance(one, Granted)]

    (one_of_few,), (one_of_many,) = there("10.1.0.1"), there("10.2.0.1")
    assert one_of_few is not None
    assert one_of_many is not None
    table = [
        (one_of_few, there("10.1.0.1", "10.2.0.1"), ""),
        (one_of_few, there("10.1.0.2", "10.1.0.3"), "2 associations at a time"),
        (one_of_many, there("10.1.0.1", "10.1.0.2", "10.2.0.2"), ""),
        (one_of_many, [*there("10.1.0.1", "10.1.0.2"), None, None], "4 associations at a time"),
        (one_of_many, there(*["10.2.0.1"] * 3), "3 associations at a time from one address"),
    ]
    for asks, others, why in table:
        assert asks.too_many(lambda others=others: others) == why  # type: ignore[misc]


def test_nothing_is_counted_without_a_limit() -> None:
    def others() -> list[Granted | None]:
        raise AssertionError("it was")

    assert granted().too_many(others) == ""


def test_an_operation_takes_few_calls() -> None:
    """Of functions of Python, once its SOP Class is known."""
    asked, calls = granted(destinations=["A*"]), 0

    def count(frame: FrameType, event: str, arg: object) -> None:
        nonlocal calls
        calls += event == "call"

    asked.refusal(MOVE, "C-MOVE", "A1")
    sys.setprofile(count)
    try:
        asked.refusal(MOVE, "C-MOVE", "A1")
    finally:
        sys.setprofile(None)
    assert calls == 1
