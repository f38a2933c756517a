"""Settings of a node: each from file or environment, unknown ones refused, paths taken from the file's folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from server.config import ConfigError, load_config


def write(folder: Path, text: str) -> Path:
    """A configuration file."""
    path = folder / "config.toml"
    path.write_text(text, "utf-8")
    return path


def test_paths_are_taken_from_the_files_folder(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, '[node]\nid = "street"\ngenesis = "../genesis.json"\n'), {})
    assert Path(config.node.genesis).resolve() == (tmp_path.parent / "genesis.json").resolve()
    assert Path(config.node.data) == tmp_path / "data"


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, '[node]\nid = "street"\n[http]\nport = 8101\n')
    environment = {"LINLI_HTTP__PORT": "9000", "LINLI_WECHAT__SECRET": "s3", "LINLI_CONSENSUS__SUSPECT_MS": "4000"}
    config = load_config(path, environment)
    assert (config.http.port, config.wechat.secret, config.consensus.suspect_ms) == (9000, "s3", 4000)
    assert config.public_url() == "http://127.0.0.1:9000"


def test_proxies_are_addresses_or_networks(tmp_path: Path) -> None:
    path = write(tmp_path, '[node]\nid = "street"\n')
    environment = {"LINLI_HTTP__TRUSTED_PROXIES": '["127.0.0.1", "10.0.0.0/8", "::1"]'}
    networks = load_config(path, environment).http.proxy_networks()
    assert [str(network) for network in networks] == ["127.0.0.1/32", "10.0.0.0/8", "::1/128"]
    assert load_config(path, {}).http.proxy_networks() == (), "nobody is believed by default"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[node]\n", "id"),
        ('[node]\nid = "street"\ncolour = "red"\n', "colour"),
        ('[node]\nid = "street"\n[http]\nport = 70000\n', "65535"),
        ('[node]\nid = "street"\n[peers.owners]\nhost = "127.0.0.1"\n', "port"),
        ("[node\n", "TOML"),
        ('[node]\nid = "street"\n[http]\ntrusted_proxies = ["nginx"]\n', "http.trusted_proxies"),
        ('[node]\nid = "street"\n[http]\ntrusted_proxies = ["10.0.0.1/8"]\n', "host bits"),
        ('[node]\nid = "street"\n[http]\ntrusted_proxies = "10.0.0.1"\n', "array"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(what)):
        load_config(write(tmp_path, text), {})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml"):
        load_config(tmp_path / "absent.toml", {})


def test_other_variables_of_the_environment_are_left_alone(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, '[node]\nid = "street"\n'), {"LINLI_REEXECUTED": "1", "PATH": "/bin"})
    assert config.node.id == "street"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("LINLI_NODE__ID__X", "1", "not a section"),
        ("LINLI_HTTP__TRUSTED_PROXIES", "[" * 5_000, "LINLI_HTTP__TRUSTED_PROXIES"),
    ],
)
def test_an_environment_that_fits_no_configuration_is_an_error_in_words(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    path = tmp_path / "node.toml"
    path.write_text('[node]\nid = "street"\n', "utf-8")
    with pytest.raises(ConfigError, match=words):
        load_config(path, {name: text})
