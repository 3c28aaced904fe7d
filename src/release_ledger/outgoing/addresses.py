"""Which addresses may be called."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, NamedTuple
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

PORTS: Final = {"http": 80, "https": 443}
LOOPBACK: Final[tuple[Network, ...]] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
# What a setting can allow. All else that is not public (link-local with the metadata of clouds, multicast, …): never.
PRIVATE: Final[tuple[Network, ...]] = (
    *LOOPBACK,
    *map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")),
)
# Python takes them for public, and clouds answer there with the credentials of the machine that asks.
NEVER: Final[tuple[Network, ...]] = (ip_network("192.0.0.0/24"), ip_network("168.63.129.16/32"))
UNICAST: Final = IPv6Network("2000::/3")
NAT64: Final = IPv6Network("64:ff9b::/96")


def origin_of(url: str) -> str:
    """`scheme://host:port`, the port only where it does not go without saying. Raises ValueError for another URL
    than http and https ones, and for one with a user's name in it."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname or "@" in parts.netloc:
        raise ValueError("not an http or https URL without a name and password")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = "" if parts.port in (None, PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def says_loopback(host: str) -> bool:
    """Whether the name of this host is loopback itself, without asking anybody."""
    if host == "localhost":
        return True
    try:
        return _is_in(ip_address(host), LOOPBACK)
    except ValueError:
        return False


def address_in(host: str) -> str | None:
    """The address that this host is, also in the shapes that only inet_aton reads; None: it is a name."""
    host = host.rstrip(".")
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host)) if host.isascii() else None
    except OSError:
        return None


class Permitted(NamedTuple):
    """Which addresses besides public ones; `loopback`: the host says so, and none but these."""

    private: bool
    loopback: bool

    def allows(self, text: str) -> bool:
        address = _embedded(ip_address(text))
        if self.loopback:
            return _is_in(address, LOOPBACK)
        return _is_public(address) or (self.private and _is_in(address, PRIVATE))


def _is_public(address: Address) -> bool:
    """Whether it can be reached by everybody. Those that carry an IPv4 address are what that one is."""
    if (isinstance(address, IPv6Address) and address not in UNICAST) or _is_in(address, NEVER):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _embedded(address: Address) -> Address:
    """The IPv4 address in an IPv4-mapped, 6to4 or NAT64 one; any other as it is."""
    if isinstance(address, IPv4Address):
        return address
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)
