"""Where `web-download` may go."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.core.destinations import Destinations
from skerry.core.errors import ConfigError, InvalidInput


def destinations(**lists: Any) -> Destinations:
    return Destinations(**{"schemes": ("http", "https"), "ports": (80, 443), **lists})


SPECIAL = [
    "127.0.0.1", "127.8.9.10", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1",
    "169.254.169.254", "192.0.0.8", "198.18.0.1", "224.0.0.1", "239.255.255.250", "240.0.0.1",
    "255.255.255.255",
    "::", "::1", "fe80::1", "fc00::1", "fd12:3456::1", "ff02::1", "2001:db8::1",
]  # fmt: skip

CARRIED = [
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "2002:7f00:1::1",
    "2002:a9fe:a9fe::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1",
    "2001:0:0a00:1:0:0:f5ff:fffe",
]  # fmt: skip


@pytest.mark.parametrize("address", SPECIAL + CARRIED)
def test_what_is_not_the_public_internet_is_denied(address: str) -> None:
    assert not destinations().may_connect(ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "2002:808:808::1", "64:ff9b::808:808"],
)
def test_the_public_internet_is_open(address: str) -> None:
    assert destinations().may_connect(ip_address(address))


def test_an_allowed_network_opens_a_private_one_and_nothing_beside_it() -> None:
    lists = destinations(allowed_networks=("10.1.0.0/16",))
    assert lists.may_connect(ip_address("10.1.2.3"))
    assert lists.may_connect(ip_address("::ffff:10.1.2.3"))
    assert not lists.may_connect(ip_address("10.2.2.3"))


def test_a_denied_network_closes_a_public_one() -> None:
    lists = destinations(denied_networks=("93.184.0.0/16",))
    assert not lists.may_connect(ip_address("93.184.216.34"))
    assert not lists.may_connect(ip_address("64:ff9b::5db8:d822"))
    assert lists.may_connect(ip_address("93.185.216.34"))


@pytest.mark.parametrize(
    "url",
    [
        "", "images.example", "http:", "http://", "http:///image", "ftp://images.example/a", "file:///etc/passwd",
        "gopher://images.example/", "http://images.example:22/", "https://images.example:8443/",
        "http://images.example:99999/", "http://images.example:x/", "http://user:secret@images.example/",
        "http://user@images.example/", "http://127.0.0.1/", "http://[::1]/", "http://[::ffff:127.0.0.1]/",
        "http://[fe80::1%25eth0]/", "http://[::1/", "http://10.0.0.1./image",
        "http://①②⑦.0.0.1/", "http://images.example\\@127.0.0.1/", "//images.example/a",
    ],
)  # fmt: skip
def test_an_address_that_leads_nowhere_good_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="does not pass filtering"):
        destinations().checked(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://images.example/a",
        "https://images.example:443/a?b#c",
        "HTTP://Images.Example:80/",
        "http://8.8.8.8/",
    ],
)
def test_an_address_of_the_public_web_passes(url: str) -> None:
    destinations().checked(url)


def test_with_allowed_hosts_no_other_host_is_asked() -> None:
    lists = destinations(allowed_hosts=("images.example",))
    lists.checked("http://IMAGES.example./a")
    for url in ("http://other.example/a", "http://images.example.evil.example/a", "http://8.8.8.8/"):
        with pytest.raises(InvalidInput):
            lists.checked(url)


def test_a_denied_host_is_not_asked() -> None:
    lists = destinations(denied_hosts=("bad.example",))
    with pytest.raises(InvalidInput):
        lists.checked("http://BAD.example./a")
    lists.checked("http://good.example/a")


def test_a_network_that_is_none_is_an_error_of_the_settings() -> None:
    with pytest.raises(ConfigError, match=r"\[imports\]"):
        destinations(denied_networks=("10.0.0.0/33",))


CARRIERS: dict[str, Callable[[int], int]] = {
    "mapped": lambda v4: (0xFFFF << 32) | v4,
    "6to4": lambda v4: (0x2002 << 112) | (v4 << 80) | 1,
    "NAT64": lambda v4: (0x64FF9B << 96) | v4,
    "Teredo server": lambda v4: (0x20010000 << 96) | (v4 << 64) | (0x08080808 ^ 0xFFFFFFFF),
    "Teredo client": lambda v4: (0x20010000 << 96) | (0x08080808 << 64) | (v4 ^ 0xFFFFFFFF),
}


@given(st.ip_addresses(v=4), st.sampled_from(sorted(CARRIERS)))
def test_an_ipv6_address_never_opens_what_the_ipv4_address_in_it_does_not(
    v4: IPv4Address, carrier: str
) -> None:
    lists = destinations()
    carrying = IPv6Address(CARRIERS[carrier](int(v4)))
    assert lists.may_connect(v4) or not lists.may_connect(carrying)


@given(
    st.text(max_size=40), st.sampled_from(["", "http://", "http://8.8.8.8", "https://a@", "http://[", "//"])
)
def test_any_text_is_an_address_of_the_web_or_refused(text: str, prefix: str) -> None:
    try:
        url = destinations().checked(prefix + text)
    except InvalidInput:
        return
    assert url.scheme in ("http", "https")
    assert url.port in (80, 443)
    assert url.host
