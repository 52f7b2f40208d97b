"""Which addresses are public, in whatever spelling they come."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videomoments_dagster.sources.limits import (
    address_of,
    is_allowed,
    is_local_name,
    networks_in,
)


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.255"),  # noqa: S104
        *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
        *("169.254.169.254", "100.64.0.1", "100.127.255.254", "100.100.100.200", "168.63.129.16"),
        *("192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"),
        *("224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "febf::1", "fec0::1", "fc00::1", "fd00:ec2::254"),
        *("ff02::1", "ff0e::1", "2001:db8::1", "2001::1", "3fff::1", "100::1", "4000::1"),
    ],
)
def test_what_is_not_on_the_public_internet_is_refused(address: str) -> None:
    assert not is_allowed(address)


@pytest.mark.parametrize("private", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.0.1"])
def test_an_ipv4_address_in_the_clothes_of_ipv6_is_refused_like_itself(private: str) -> None:
    number = int.from_bytes(bytes(map(int, private.split("."))), "big")
    high, low = number >> 16, number & 0xFFFF
    for disguise in (
        f"::ffff:{private}",
        f"::ffff:{high:x}:{low:x}",
        f"::{private}",
        f"::ffff:0:{private}",
        f"64:ff9b::{private}",
        f"64:ff9b:1::{private}",
        f"2002:{high:x}:{low:x}::1",
        f"2001:0:{high:x}:{low:x}::1",
    ):
        assert not is_allowed(disguise), disguise


@pytest.mark.parametrize(
    "address",
    [
        *("8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1"),
        *("169.253.255.255", "198.17.0.1", "198.20.0.1", "223.255.255.255", "192.0.1.1"),
        *("2606:4700:4700::1111", "2a00:1450:4001::1", "2001:4860:4860::8888"),
        *("::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"),
    ],
)
def test_what_is_on_the_public_internet_is_allowed(address: str) -> None:
    assert is_allowed(address)


@pytest.mark.parametrize(
    "nonsense", ["", "localhost", "127.1", "1.2.3", "8.8.8.8.8", "/run/socket"]
)
def test_what_is_no_address_is_refused(nonsense: str) -> None:
    assert not is_allowed(nonsense)


def test_a_network_that_is_named_is_allowed_and_no_other() -> None:
    allowed = networks_in("10.0.0.0/8, fd00::/8,127.0.0.1")
    for inside in ("10.1.2.3", "::ffff:10.1.2.3", "fd12::1", "127.0.0.1", "8.8.8.8"):
        assert is_allowed(inside, allowed)
    for outside in ("127.0.0.2", "192.168.1.1", "fc00::1", "::1", "::ffff:127.0.0.2"):
        assert not is_allowed(outside, allowed)


def test_no_network_is_allowed_by_default() -> None:
    assert networks_in("") == networks_in(" , ") == ()


@pytest.mark.parametrize("text", ["10.0.0.0/33", "10.0.0.1/8", "intranet", "10.*", "::1/129"])
def test_a_network_that_is_none_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is not a network such as") as rejected:
        networks_in(f"127.0.0.0/8,{text}")
    assert f"'{text}'" in str(rejected.value)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("0", "0.0.0.0"),  # noqa: S104
        ("[::1]", "::1"),
        ("[::ffff:127.0.0.1]", "::ffff:7f00:1"),
        ("talks.example", None),
        ("127.0.0.1.example", None),
        ("", None),
    ],
)
def test_an_address_is_recognised_in_every_spelling_that_resolvers_take(
    host: str, address: str | None
) -> None:
    found = address_of(host)
    # Releases of Python write mapped addresses differently.
    assert (found and ip_address(found)) == (address and ip_address(address))


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST.", "a.localhost", "metadata", "ip6-localhost", "printer.local"),
        *("metadata.google.internal", "nas.home.arpa", "localhost.localdomain"),
    ],
)
def test_a_name_that_can_only_be_local_is_recognised(host: str) -> None:
    assert is_local_name(host)


@pytest.mark.parametrize("host", ["example.com", "local.example", "internal.example.org"])
def test_any_other_name_may_be_distant(host: str) -> None:
    assert not is_local_name(host)


@given(st.ip_addresses(v=4))
def test_a_mapped_address_is_always_judged_like_the_one_that_it_maps(address: object) -> None:
    assert is_allowed(f"::ffff:{address}") == is_allowed(f"64:ff9b::{address}")
    assert is_allowed(f"::ffff:{address}") == is_allowed(str(address))
