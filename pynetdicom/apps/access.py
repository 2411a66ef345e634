"""Access rules of the servers, from ``[[access]]`` and ``[limits]`` of their configurations.

Those that have no configuration take a file that has nothing else in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pynetdicom import access_patterns as patterns
from pynetdicom.access import GROUPS, ROLES, AccessRules, Limits, Rule
from pynetdicom.access_roles import roles
from pynetdicom.apps.configuring import (
    Check,
    ConfigError,
    Sections,
    read_text,
    read_toml,
    seconds,
    whole_number,
)

LIMITS: dict[str, tuple[str, Check]] = {
    # key → (field of `Limits`, check)
    "maximum_associations_per_peer": ("associations_per_peer", whole_number(1)),
    "maximum_command_bytes": ("command_set_bytes", whole_number(1)),
    "maximum_query_seconds": ("query_seconds", seconds),
    "maximum_matches": ("matches", whole_number(1)),
}
"""Of ``[limits]`` and of ``[[access]]``: what an AE has no setting for."""

_OF_A_RULE: dict[str, tuple[str, Check]] = {
    "maximum_associations": ("associations", whole_number(1)),
    "maximum_object_bytes": ("object_bytes", whole_number(1)),
    "max_pdu": ("pdu_length", whole_number(0, 0xFFFFFFFF)),
    **LIMITS,
}
"""What a rule may limit."""

UNASSOCIATED: dict[str, Check] = {
    "maximum_unassociated": whole_number(1),
    "maximum_unassociated_per_address": whole_number(1),
}
"""Of ``[limits]`` alone: key → check."""


def _name(value: Any) -> str:
    """The name of a rule; those of the rules that we make ourselves begin with a bracket."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError(_NAME)
    if value.startswith("["):
        raise ValueError(_NAME)
    return value


_NAME = "a text of one line that is not empty and does not begin with ["


def _list_of(check: Callable[[str], object], allowed: str) -> Check:
    """A list of texts of which there is one at least."""

    def checked(value: Any) -> list[str]:
        if not isinstance(value, list) or not value:
            raise ValueError(allowed)
        for one in value:
            if not isinstance(one, str):
                raise ValueError(allowed)
            try:
                check(one)
            except ValueError:
                raise ValueError(allowed) from None
        return value

    return checked


def _roles(value: Any) -> frozenset[str]:
    allowed = f"a list of some of {', '.join((*ROLES, *GROUPS))}"
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError(allowed)
    try:
        return roles(value)
    except ValueError:
        raise ValueError(allowed) from None


_TITLES = _list_of(patterns.title, "a list of AE titles, in which * and ? may stand for others")

ACCESS: dict[str, Check] = {
    "name": _name,
    "may": _roles,
    "calling": _TITLES,
    "called": _TITLES,
    "networks": _list_of(
        patterns.network,
        "a list of networks such as 10.1.0.0/16 (no bits after the 16), addresses, and loopback",
    ),
    "certificate": _list_of(
        patterns.certificate,
        "a list of some of dicom:TITLE, dicom:{calling}, dns:NAME, and subjects such as CN=ct1,*",
    ),
    "destinations": _TITLES,
    **{key: check for key, (_, check) in _OF_A_RULE.items()},
}
"""Key of an ``[[access]]`` → check."""

NEEDED = ("name", "may")
"""The keys that each has."""


def make_rules(values: dict[str, Any]) -> None:
    """Make the rules of the ``[[access]]`` that `read_toml` has found, in their place.

    Raises
    ------
    ConfigError
        One wants a certificate that nobody vouches for.
    """
    vouched = "tls_authorities" in values and values.get("tls_peers") != "ignore"
    needs = "needs [tls] authorities, who vouch for it, and no clients = ignore"
    values["access"] = _rules(values["access"], "" if vouched else needs)


def _rules(tables: list[tuple[str, dict[str, Any]]], certificate_needs: str) -> tuple[Rule, ...]:
    made = []
    for where, table in tables:
        if "certificate" in table and certificate_needs:
            raise ConfigError(f"{where} certificate: {certificate_needs}")
        others = {key: value for key, value in table.items() if key not in _OF_A_RULE}
        made.append(Rule(**others, limits=_limits(table)))
    return tuple(made)


def _limits(values: dict[str, Any]) -> Limits:
    return Limits(**{field: values[key] for key, (field, _) in _OF_A_RULE.items() if key in values})


_LIMITS: dict[str, Check] = {key: check for key, (_, check) in _OF_A_RULE.items()} | UNASSOCIATED
_FILE: Sections = {"limits": {key: (key, check) for key, check in _LIMITS.items()}}


def load(path: str, certificate_needs: str) -> AccessRules:
    """Read a file with ``[[access]]`` and ``[limits]``; who comes under none is not let in.

    Parameters
    ----------
    path : str
    certificate_needs : str
        What is missing for certificates of peers to be looked at; empty if nothing is.

    Raises
    ------
    ConfigError
        It cannot be read, or something in it is wrong.
    """
    values, _ = read_toml(path, read_text(path), _FILE, None, access=ACCESS, needed=NEEDED)
    rules = _rules(values["access"], certificate_needs)
    if not rules:
        raise ConfigError(f"{path}: [[access]]: is missing: without one, nobody would be let in")
    return AccessRules(
        rules,
        limits=_limits(values),
        unassociated=values.get("maximum_unassociated"),
        unassociated_per_address=values.get("maximum_unassociated_per_address"),
    )


def title(ae_title: str) -> str:
    """Give the pattern of one AE title, which may have a star itself."""
    return re.sub(r"[*?]", r"\\\g<0>", ae_title)
