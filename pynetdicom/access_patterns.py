"""The patterns of access rules: titles, networks and certificates; checked once, matched often."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Matches = Callable[[str], object]
"""Gives something that is true if a text matches."""

_LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
_CALLING = "dicom:{calling}"

# What RFC 4514 calls the types of attributes, by what `ssl` calls them.
_TYPES = {
    "commonName": "CN",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "streetAddress": "STREET",
    "domainComponent": "DC",
    "userId": "UID",
}
_END = "\0"
"""Behind each part of a name; in one it is escaped."""


class Certificate(NamedTuple):
    """What rules look at of a certificate.

    Attributes
    ----------
    subject : str
        Its parts as RFC 4514 has them, the last one first, each with `_END`.
    dicom, dns : tuple of str
        The alternative names: AE titles of ``dicom:`` URIs, and host names.
    """

    subject: str = ""
    dicom: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Certificate:
        """Make one of what `ssl.SSLSocket.getpeercert` gives: nothing of one not verified."""
        names = found.get("subjectAltName", ())
        uris = [name for kind, name in names if kind == "URI"]
        return cls(
            "".join(_part(part) + _END for part in reversed(found.get("subject", ()))),
            tuple(unquote(uri[6:]) for uri in uris if uri[:6].lower() == "dicom:"),
            tuple(name.lower() for kind, name in names if kind == "DNS"),
        )


def _part(attributes: Iterable[tuple[str, str]]) -> str:
    return "+".join(f"{_TYPES.get(kind, kind)}={_escaped(value)}" for kind, value in attributes)


def _escaped(value: str) -> str:
    """A value as RFC 4514 2.4 has it."""
    value = re.sub(r'[,+"\\<>;]', r"\\\g<0>", value)
    value = re.sub(r"[\0-\x1f\x7f]", lambda one: f"\\{ord(one[0]):02X}", value)
    value = re.sub(r"^[ #]", r"\\\g<0>", value)
    return re.sub(r"(?<!\\) $", r"\\ ", value)


def address_of(text: str) -> Address | None:
    """Give an address; an IPv4 one in an IPv6 one as what it is. None if it is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def network(text: str) -> tuple[Network, ...]:
    """Give the networks that a text is for.

    Raises
    ------
    ValueError
        None.
    """
    if text == "loopback":
        return _LOOPBACK
    try:
        found = ipaddress.ip_network(text)
    except ValueError as error:
        what = "is no network, such as 10.1.0.0/16, no address, and not loopback"
        raise ValueError(f"{text!r} {what}: {error}") from None
    mapped = getattr(found.network_address, "ipv4_mapped", None)
    if mapped is not None and found.prefixlen >= 96:
        return (ipaddress.ip_network((mapped, found.prefixlen - 96)),)
    return (found,)


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Give the networks of all of them."""
    return tuple(one for text in texts for one in network(text))


def title(text: str) -> None:
    """Check a pattern of AE titles.

    Raises
    ------
    ValueError
        No title can be so.
    """
    if not text.strip() or not text.isprintable() or "\\" in re.sub(r"\\[*?]", "", text):
        raise ValueError(f"{text!r} is no AE title, in which * and ? may stand for others")


def certificate(text: str) -> Callable[[Certificate, str], bool]:
    """Give what says whether a certificate is one, of a calling AE title.

    Raises
    ------
    ValueError
        None can be.
    """
    kind, _, name = text.partition(":")
    if text == _CALLING:
        return lambda found, calling: calling in found.dicom
    if kind == "dicom" and name:
        title(name)
        fits = any_glob([name])
        return lambda found, calling: any(map(fits, found.dicom))
    if kind == "dns" and name:
        fits = any_glob([name.lower()])
        return lambda found, calling: any(map(fits, found.dns))
    parts = re.findall(r"(?:[^,\\]|\\.)+", text)
    if not any("=" in part for part in parts) or "\\" in text[-1:]:
        what = f"is neither dicom:TITLE, {_CALLING}, dns:NAME nor a subject such as CN=ct1,*"
        raise ValueError(f"{text!r} {what}")
    subject = re.compile("".join(map(_parts, parts)), re.DOTALL)
    return lambda found, calling: subject.fullmatch(found.subject) is not None


def _parts(pattern: str) -> str:
    """An expression for a part of a subject, or any number of them."""
    if pattern.strip() == "*":
        return f"(?:[^{_END}]*{_END})*"
    return _expression(re.sub(r"^ +|(?<!\\) +$", "", pattern), f"[^{_END}]") + _END


def any_certificate(texts: Iterable[str]) -> Callable[[Certificate, str], bool]:
    """Give what says whether a certificate is one of several."""
    each = [certificate(text) for text in texts]
    return lambda found, calling: any(fits(found, calling) for fits in each)


def any_glob(texts: Iterable[str]) -> Matches:
    """Give what says whether a text is one of several patterns of ``*`` and ``?``."""
    expression = "|".join(_expression(text.strip(), ".") for text in texts)
    return re.compile(expression, re.DOTALL).fullmatch


def _expression(pattern: str, any_one: str) -> str:
    """An expression of a pattern, which goes back to no star but the last.

    Behind a backslash a star is a star.
    """
    pieces = [""]
    for one in re.findall(r"\*+|\\.|.", pattern, re.DOTALL):
        if one[0] == "*":
            pieces.append("")
        elif one == "?":
            pieces[-1] += any_one
        else:
            pieces[-1] += re.escape(one[1:] if one in ("\\*", "\\?") else one)
    first, *rest = pieces
    if not rest:
        return first
    last = rest.pop()
    between = "".join(f"(?>{any_one}*?{piece})" for piece in rest)
    return f"{first}{between}{any_one}*{last}"
