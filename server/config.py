"""The settings of one node: a frozen Config from a TOML file and the environment, each setting documented once.

Environment variables override the file: `LINLI_<SECTION>__<NAME>`, lists and tables as JSON. An unknown key is refused.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

Port = Annotated[int, Meta(ge=1, le=65_535)]
Duration = Annotated[int, Meta(ge=1, le=86_400_000)]
Networks = tuple[IPv4Network | IPv6Network, ...]
PREFIX = "LINLI_"


class ConfigError(ValueError):
    """A setting is missing, unknown or of the wrong form."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of settings."""


class NodeSettings(Section, frozen=True):
    """Who this node is and where its files lie."""

    id: Annotated[str, Meta(description="Member id of the organisation that runs this node, as in genesis")]
    genesis: Annotated[str, Meta(description="Path of genesis.json")] = "genesis.json"
    keys: Annotated[str, Meta(description="Folder with this organisation's private keys, mode 0700")] = "keys"
    observes: Annotated[
        bool, Meta(description="Follow the ledger without voting, as long as its members do not include these keys")
    ] = False
    data: Annotated[str, Meta(description="Folder of journal, signer file, photos, snapshots and SQLite database")] = (
        "data"
    )


class HttpSettings(Section, frozen=True):
    """The public port."""

    host: Annotated[str, Meta(description="Address to listen on")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="Port of the API and the web build")] = 8101
    url: Annotated[str, Meta(description="Address under which phones reach this node; empty: http://host:port")] = ""
    static: Annotated[str, Meta(description="Folder of the mini-app's web build; empty: none is served")] = ""
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(description="Addresses or networks of reverse proxies, whose X-Forwarded-For says who calls"),
    ] = ()
    access_log: Annotated[bool, Meta(description="Write a line for each HTTP request")] = False
    wait_ms: Annotated[Duration, Meta(description="How long a POST waits for its receipt before 202")] = 8_000

    def proxy_networks(self) -> Networks:
        """`trusted_proxies` as networks. Raises ConfigError."""
        try:
            return tuple(ip_network(text) for text in self.trusted_proxies)
        except ValueError as error:
            raise ConfigError(f"http.trusted_proxies: {error}") from None


class PeerSettings(Section, frozen=True):
    """Where another member's node is."""

    host: Annotated[str, Meta(description="Address of the peer's transport port")]
    port: Annotated[Port, Meta(description="The peer's transport port")]
    url: Annotated[str, Meta(description="The peer's public address, shown to phones")] = ""
    certificate: Annotated[
        str, Meta(description="transport.crt of a node that is no member yet, so that it may follow; empty for members")
    ] = ""


class TransportSettings(Section, frozen=True):
    """The port for other nodes: TLS 1.3, both sides authenticated."""

    host: Annotated[str, Meta(description="Address to listen on for peers")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="Port for peers")] = 9101


class DatabaseSettings(Section, frozen=True):
    """Where rows and the ledger are kept."""

    url: Annotated[str, Meta(description="sqlite://PATH or asyncpg://...; empty: SQLite in the data folder")] = ""


class CacheSettings(Section, frozen=True):
    """What may be lost."""

    url: Annotated[str, Meta(description="redis://... or unix://...; empty: in this process")] = ""


class ConsensusSettings(Section, frozen=True):
    """Timing of the replica."""

    suspect_ms: Annotated[
        Duration, Meta(description="First patience with a primary, doubled while nothing commits")
    ] = 1_500
    tick_ms: Annotated[Duration, Meta(description="How often the replica looks at its clock")] = 50
    status_ms: Annotated[Duration, Meta(description="How often a node tells its peers where it stands")] = 250
    join_behind: Annotated[
        int,
        Meta(ge=0, description="Blocks behind from which a starting node takes a peer's snapshot; 0: never"),
    ] = 1_000


class SmsSettings(Section, frozen=True):
    """The gateway that sends text messages."""

    url: Annotated[str, Meta(description="POST address of the gateway; empty: no phone codes from this node")] = ""
    token: Annotated[str, Meta(description="Bearer token of the gateway")] = ""


class WechatSettings(Section, frozen=True):
    """WeChat's server API."""

    url: Annotated[str, Meta(description="Base address of the API")] = "https://api.weixin.qq.com"
    appid: Annotated[str, Meta(description="App id of the mini-program; empty: no sign-in by WeChat")] = ""
    secret: Annotated[str, Meta(description="App secret; better given by the environment")] = ""


class EstateSettings(Section, frozen=True):
    """What residents see of the estate besides its name in genesis."""

    phone: Annotated[str, Meta(description="Phone number of a person who helps; shown on every page")] = ""


class Config(Section, frozen=True):
    """All settings of one node."""

    node: NodeSettings
    http: HttpSettings = HttpSettings()
    transport: TransportSettings = TransportSettings()
    peers: dict[str, PeerSettings] = {}
    database: DatabaseSettings = DatabaseSettings()
    cache: CacheSettings = CacheSettings()
    consensus: ConsensusSettings = ConsensusSettings()
    sms: SmsSettings = SmsSettings()
    wechat: WechatSettings = WechatSettings()
    estate: EstateSettings = EstateSettings()

    def public_url(self) -> str:
        """Where phones reach this node."""
        return self.http.url or f"http://{self.http.host}:{self.http.port}"


def load_config(path: Path, environment: Mapping[str, str]) -> Config:
    """Read and check a configuration; relative paths are taken from the file's folder. Raises ConfigError."""
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    _override(values, environment)
    try:
        config = msgspec.convert(values, Config, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}") from None
    config.http.proxy_networks()
    node = config.node
    folder = path.resolve().parent
    places = {name: str(folder / getattr(node, name)) for name in ("genesis", "keys", "data")}
    peers = {
        name: msgspec.structs.replace(peer, certificate=str(folder / peer.certificate)) if peer.certificate else peer
        for name, peer in config.peers.items()
    }
    return msgspec.structs.replace(config, node=msgspec.structs.replace(node, **places), peers=peers)


def _override(values: dict[str, Any], environment: Mapping[str, str]) -> None:
    for name, text in environment.items():
        if not name.startswith(PREFIX) or "__" not in name:
            continue
        *sections, last = name[len(PREFIX) :].lower().split("__")
        table = values
        for section in sections:
            table = table.setdefault(section, {})
            if not isinstance(table, dict):
                raise ConfigError(f"{name}: {section} is a value, not a section")
        table[last] = _parse_value(name, text)


def _parse_value(name: str, text: str) -> Any:
    if not text.startswith(("[", "{")):
        return text
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(f"{name}: {error}") from None
