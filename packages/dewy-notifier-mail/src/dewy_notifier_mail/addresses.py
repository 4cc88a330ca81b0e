"""Mail addresses and host names, as users write them and as the wire takes them. Pure."""

from __future__ import annotations

import re
from email.headerregistry import Address
from ipaddress import ip_address

__all__ = ["CONTROL", "addresses_of", "ascii_domain", "host_of"]

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What has no place in a name, an address or a password: line ends above all."""

_ONE = re.compile(r'(?:[^,"]|"[^"]*")+')
"""One of several addresses: a comma between quotes belongs to a name."""

_NAMED = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>]*)>\Z")
_ATOM = r"[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f.]+"
_LOCAL = re.compile(rf"{_ATOM}(\.{_ATOM})*\Z")
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_DOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?\Z")
_LITERAL = re.compile(r"\[(IPv6:)?(?P<ip>[0-9A-Fa-f:.]+)\]\Z", re.IGNORECASE)
_LONGEST_NAME, _LONGEST_LOCAL, _LONGEST_DOMAIN = 200, 64, 254


def addresses_of(text: str) -> tuple[Address, ...]:
    """The addresses of a list with commas, each as ``ops@example.com`` or ``Operations <ops@example.com>``.

    Raises:
        ValueError: One of them is no address; says which and why, a clause.
    """
    if text.count('"') % 2:
        raise ValueError(f"{text!a} has a quotation mark without its other one")
    return tuple(_address(one.strip(" ")) for one in _ONE.findall(text) if one.strip(" "))


def _address(text: str) -> Address:
    if CONTROL.search(text):
        raise ValueError(f"{text!a} has a line end or another control character in it")
    named = _NAMED.match(text)
    name, address = (named["name"].strip().strip('"'), named["address"].strip()) if named else ("", text)
    local, at, domain = address.rpartition("@")
    if not at:
        raise ValueError(f"{text!r} has no @, which every mail address has")
    if not _LOCAL.match(local) or len(local.encode()) > _LONGEST_LOCAL:
        raise ValueError(f"{text!r} is not a mail address: what stands before the @ cannot be used")
    if len(name) > _LONGEST_NAME:
        raise ValueError(f"the name that stands before <{address}> is too long")
    # "=?" would start an encoded word, which mail programs replace by what it stands for
    return Address(name.replace("=?", "= ?"), local, ascii_domain(domain))


def ascii_domain(domain: str) -> str:
    """A domain as DNS has it: ``münchen.example`` becomes ``xn--mnchen-3ya.example``; an address literal stays.

    Raises:
        ValueError: It is none, or Python's older rules for international names (IDNA 2003) lead to another one's domain.
    """
    literal = _LITERAL.match(domain)
    if literal:
        ip_address(literal["ip"])
        return domain
    try:
        encoded = domain if domain.isascii() else domain.encode("idna").decode()
        same = domain.isascii() or encoded.encode().decode("idna") == domain.lower()
    except UnicodeError:
        raise ValueError(f"{domain!r} is not a domain") from None
    if not same:
        raise ValueError(f"{domain!r} means different domains to old and new software: write it in its form with xn--")
    if not _DOMAIN.match(encoded) or len(encoded) > _LONGEST_DOMAIN:
        raise ValueError(f"{domain!r} is not a domain")
    return encoded


def host_of(text: str) -> str:
    """A server's name or IP address, without brackets. Raises ValueError if it is neither."""
    if ":" not in text:
        return ascii_domain(text)
    return str(ip_address(text))
