"""pynetdicom.network.addresses: what users give."""

from __future__ import annotations

import socket

import pytest

from pynetdicom.network.addresses import AddressInformation

LOCAL = "127.0.0.1"


@pytest.mark.parametrize(
    ("host", "family"),
    [
        (LOCAL, socket.AF_INET),
        ("::1", socket.AF_INET6),
        ("", socket.AF_INET),
        ("::", socket.AF_INET6),
    ],
)
def test_the_family_of_an_address(host: str, family: int) -> None:
    where = AddressInformation(host, 104)
    assert where.address_family == family
    assert where.is_ipv6 == (family == socket.AF_INET6)
    assert where.is_ipv4 != where.is_ipv6
    assert where.as_tuple == ((host, 104, 0, 0) if where.is_ipv6 else (host, 104))
    assert AddressInformation.from_tuple(where.as_tuple) == where


def test_a_host_name_is_looked_up() -> None:
    assert AddressInformation("localhost", 104).address in (LOCAL, "::1")


def test_from_what_users_give() -> None:
    assert AddressInformation.from_addr_port("a", 1) == AddressInformation("a", 1)
    assert AddressInformation.from_addr_port(("a", 2, 3), 1) == AddressInformation("a", 1, 2, 3)
    for wrong in ((), ("a",), ("a", "b"), (1, 2), ("a", 1, 2)):
        with pytest.raises(TypeError):
            AddressInformation.from_tuple(wrong)


def test_an_address_can_be_changed_and_is_shown() -> None:
    where = AddressInformation("a", 1)
    where.address = "b"
    assert repr(where) == "AddressInformation('b', 1, 0, 0)"
    assert where != "b"
