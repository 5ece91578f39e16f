"""Under test: anel.config: settings are read, overridden, or refused by their path."""

import tomllib
from pathlib import Path

import pytest

from anel.config import NodeConfig, check, default_text, load, setting_paths, variable_of
from anel.errors import ConfigurationError

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/config.md"


def checked(text: str, **variables: str) -> NodeConfig:
    return check(tomllib.loads(text), variables)


def test_the_default_file_says_what_no_file_means() -> None:
    assert checked(default_text()) == NodeConfig()


def test_the_default_file_holds_every_setting() -> None:
    settings = tomllib.loads(default_text())
    for path in setting_paths():
        table, _, name = path.rpartition(".")
        assert name in (settings[table] if table else settings), path


def test_every_setting_and_its_variable_are_documented() -> None:
    text = PAGE.read_text()
    for path in setting_paths():
        assert f"| `{path}` | `{variable_of(path)}` |" in text, path


def test_a_file_is_read_and_its_data_folder_taken_from_its_place(tmp_path: Path) -> None:
    file = tmp_path / "anel.toml"
    file.write_text('data = "here"\n[listen]\nresp = "off"\nhttp = "[::1]:81"\n')
    config = load(file)
    assert config.data == str(tmp_path / "here")
    assert config.address("resp") is None
    assert config.address("http") == ("::1", 81)
    assert config.advertised == ("127.0.0.1", 7000)


def test_variables_override_the_file_each_by_the_type_of_its_setting() -> None:
    config = checked(
        'durability = "none"',
        ANEL_DURABILITY="periodic",
        ANEL_LISTEN_RESP="localhost:1",
        ANEL_TOKENS="-5, 7",
        ANEL_SEEDS="127.0.0.1:7000,127.0.0.1:7001",
        ANEL_LIMITS_READ_TIMEOUT_MS="4096",
        ANEL_RESP_CONSISTENCY="one",
        ANEL_PORT="tcp://10.0.0.1:6379",
    )
    assert config.durability == "periodic"
    assert config.address("resp") == ("localhost", 1)
    assert config.tokens == [-5, 7]
    assert config.seed_addresses == [("127.0.0.1", 7000), ("127.0.0.1", 7001)]
    assert config.limits.read_timeout_ms == 4096
    assert config.resp.consistency == "ONE"


def test_a_variable_that_is_nearly_a_setting_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="did you mean ANEL_LISTEN_RESP"):
        checked("", ANEL_LISTEN_RSP="127.0.0.1:1")


MEMBER = '[[initial_ring]]\nnode_id = "{}"\naddress = "127.0.0.1:1"\ntokens = [1]\n'


@pytest.mark.parametrize(
    ("text", "path", "accepted"),
    [
        ("rsp = 1", "rsp is not a setting", "accepted here: cluster_name"),
        ("[listen]\nrsp = 1", "listen.rsp is not a setting (did you mean resp?)", "accepted"),
        ('[[initial_ring]]\nnode = "x"', "initial_ring[0].node is not", "node_id, address"),
        ('durability = "fast"', "durability: 'fast'", "group, periodic, none"),
        ('[resp]\nconsistency = "any"', "resp.consistency: 'ANY'", "ONE, TWO, THREE, QUORUM"),
        ('tokens = ["a"]', "tokens[0]: expected a whole number, got text", ""),
        ("tokens = [1, 1]", "tokens: a token stands there twice", ""),
        (f"tokens = [{2**63}]", "tokens", ""),
        ("listen = 3", "listen: expected a table", ""),
        ("[limits]\nread_timeout_ms = 0", "limits.read_timeout_ms", "1 or more"),
        ("replication = -1", "replication is -1", "1 to 512"),
        ('cluster_name = ""', "cluster_name", "1 to 48"),
        ('node_id = "xyz"', "node_id is 'xyz'", "32 hexadecimal"),
        (MEMBER.format("z"), "initial_ring[0].node_id", "32 hexadecimal"),
        ('[listen]\nresp = "6379"', "listen.resp is '6379'", 'or "off"'),
        ('[listen]\nhttp = "127.0.0.1:99999"', "listen.http", "127.0.0.1:6379"),
        ('[listen]\ninternode = "off"', "listen.internode is 'off'", "an address"),
        ('[listen]\nresp = "127.0.0.1:8500"', "listen.http and listen.resp are both", ""),
    ],
)
def test_what_is_wrong_is_refused_with_its_path_and_what_is_accepted(
    text: str, path: str, accepted: str
) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        checked(text)
    assert path in str(refusal.value)
    assert accepted in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [
        '[listen]\nresp = "0.0.0.0:6379"',
        '[listen]\nhttp = "[::]:8500"',
        'advertise = "192.168.1.4:7000"',
        'seeds = ["example.org:7000"]',
        MEMBER.format("0" * 32).replace("127.0.0.1", "10.0.0.1"),
    ],
)
def test_other_than_loopback_is_refused_with_the_reason_and_what_to_do(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"no authentication yet.*ssh -L"):
        checked(text)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "[::1]"])
def test_loopback_is_accepted_however_it_is_written(host: str) -> None:
    assert checked(f'[listen]\nresp = "{host}:6379"').address("resp")


def test_replication_is_left_to_the_ring_unless_it_is_set() -> None:
    assert NodeConfig().redis_replication is None
    assert NodeConfig(replication=5).redis_replication == 5


def test_a_file_that_is_absent_or_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.toml cannot be read .*anel config"):
        load(tmp_path / "absent.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("x = ")
    with pytest.raises(ConfigurationError, match=r"broken\.toml is not TOML"):
        load(broken)
