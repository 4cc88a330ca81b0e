"""What --port takes (R13)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewy.errors import UsageError
from dewy.supervisor.addresses import MAX_RANGE, Address, parse_ports


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("8000", [Address("8000", "ipv4", "", 8000)]),
        ("8000,8443", [Address("8000", "ipv4", "", 8000), Address("8443", "ipv4", "", 8443)]),
        ("8000, 8443", [Address("8000", "ipv4", "", 8000), Address("8443", "ipv4", "", 8443)]),
        ("8000-8002", [Address(str(port), "ipv4", "", port) for port in (8000, 8001, 8002)]),
        ("127.0.0.1:8000", [Address("127.0.0.1:8000", "ipv4", "127.0.0.1", 8000)]),
        ("localhost:8000", [Address("localhost:8000", "ipv4", "localhost", 8000)]),
        ("127.0.0.1:80-81", [Address(f"127.0.0.1:{port}", "ipv4", "127.0.0.1", port) for port in (80, 81)]),
        ("[::1]:8000", [Address("[::1]:8000", "ipv6", "::1", 8000)]),
        ("[fe80::1%eth0]:8000", [Address("[fe80::1%eth0]:8000", "ipv6", "fe80::1%eth0", 8000)]),
        ("[::1]:80-81", [Address(f"[::1]:{port}", "ipv6", "::1", port) for port in (80, 81)]),
        ("/run/app.sock", [Address("/run/app.sock", "unix", path="/run/app.sock")]),
        ("./app.sock", [Address("./app.sock", "unix", path="./app.sock")]),
        ("8000,/run/app.sock", [Address("8000", "ipv4", "", 8000), Address("/run/app.sock", "unix", path="/run/app.sock")]),
    ],
)
def test_each_form_is_read_and_keeps_its_spec(spec: str, expected: list[Address]) -> None:
    assert list(parse_ports([spec])) == expected


def test_no_port_is_a_job_worker() -> None:
    assert parse_ports([]) == ()


@pytest.mark.parametrize(
    ("specs", "says"),
    [
        ([""], "no port"),
        (["http"], "no port"),
        (["8000,"], "no port"),
        (["0"], "1 to 65535"),
        (["65536"], "1 to 65535"),
        (["8005-8000"], "wrong way round"),
        (["8000-8100"], "at most 100"),
        (["8000-9000000"], "no port"),
        (["::1:8000"], "brackets"),
        (["[::1]"], "no port"),
        (["[127.0.0.1]:80"], "no IPv6 address"),
        (["300.0.0.1:80"], "no host"),
        (["1.2.3:80"], "no host"),
        ([":80"], "no host"),
        (["-x:80"], "no host"),
        (["a b:80"], "no host"),
        (["8000", "8000"], "twice"),
        (["8000,8000"], "twice"),
        (["8000-8005,8003"], "twice"),
        (["8000", "127.0.0.1:8000"], "already taken by '8000'"),
        (["127.0.0.1:8000", "0.0.0.0:8000"], "already taken"),
        (["[::1]:80", "[0:0::1]:80"], "already taken"),
        (["[::1]:80", "[::]:80"], "already taken"),
        (["127.0.0.1:8000,8443"], "not clear where 8443 listens"),
        (["/run/a;b.sock"], "';'"),
        (["/run/a=b.sock"], "'='"),
        (["/run/a\nb.sock"], "control"),
        (["/run/app/"], "directory"),
        (["/" + 107 * "x"], "at most 107 bytes"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line_that_names_the_option(specs: list[str], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_ports(specs)
    assert says in str(caught.value)
    assert "--port" in caught.value.message
    assert "\n" not in str(caught.value)


def test_the_same_port_on_two_addresses_and_two_families_is_fine() -> None:
    assert len(parse_ports(["127.0.0.1:80", "127.0.0.2:80", "[::1]:80", "[::2]:80"])) == 4


def test_a_range_has_at_most_a_hundred_ports() -> None:
    assert len(parse_ports(["8000-8099"])) == MAX_RANGE


@given(st.integers(1, 65535), st.integers(0, 99))
def test_a_range_is_cut_into_single_ports(first: int, more: int) -> None:
    last = min(first + more, 65535)
    addresses = parse_ports([f"{first}-{last}"])
    assert [address.port for address in addresses] == list(range(first, last + 1))
    assert [address.spec for address in addresses] == [str(port) for port in range(first, last + 1)]


@given(st.lists(st.text(max_size=20) | st.from_regex(r"[0-9a-f:.\[\],/-]{1,20}", fullmatch=True), max_size=4))
def test_whatever_is_given_is_read_or_refused_in_one_line(specs: list[str]) -> None:
    addresses: tuple[Address, ...] = ()
    refusal = ""
    try:
        addresses = parse_ports(specs)
    except UsageError as error:
        refusal = str(error)
    assert not refusal or ("--port" in refusal and "\n" not in refusal)
    for address in addresses:
        assert not set(address.spec) & set(";=\0\n"), "SERVER_STARTER_PORT can hold it"
        assert ":" not in address.fd_name
        assert address.fd_name.isascii()
        assert address.fd_name.isprintable()
        assert 1 <= len(address.fd_name) <= 255
        assert address.kind == "unix" or 1 <= address.port <= 65535


def test_names_of_descriptors_have_no_colons() -> None:
    (address,) = parse_ports(["127.0.0.1:8000"])
    assert address.fd_name == "127.0.0.1-8000"
