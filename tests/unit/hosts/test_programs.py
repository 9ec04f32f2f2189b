"""What pods' commands become when they are run for real."""

from pathlib import Path

import pytest

from atoll.hosts.sandbox.agent.containers import expand, localized
from atoll.hosts.sandbox.agent.ray import processors, start_flags
from atoll.hosts.sandbox.agent.redisentry import options, render


def test_redis_options_become_configuration_lines() -> None:
    file, lines = options(["/etc/redis.conf", "--requirepass", "a b", "--save", "60", "1"])
    assert file == "/etc/redis.conf"
    assert lines == ['requirepass "a b"', "save 60 1"]


def test_the_sandbox_decides_where_redis_listens() -> None:
    text = render("bind *\nport 6379\nappendonly yes\n", ["daemonize yes"], 1234, "/data")
    lines = text.splitlines()
    assert "appendonly yes" in lines
    assert "dir /data" in lines
    assert lines.count("port 1234") == 1
    assert [line for line in lines if line.startswith("bind")] == ["bind 127.0.0.1"]
    assert "daemonize yes" not in lines


def test_mount_paths_are_replaced_only_where_they_are_paths() -> None:
    folders = {"/data": Path("/x/1"), "/data/sub": Path("/x/2")}
    script = 'cat /data/a > "/data/sub/b"; echo /database my/data; ls /data'
    expected = 'cat /x/1/a > "/x/2/b"; echo /database my/data; ls /x/1'
    assert localized(script, folders) == expected


def test_variables_are_expanded_as_kubernetes_does() -> None:
    assert expand("$(A)-$$(A)-$(B)", {"A": "1"}) == "1-$(A)-$(B)"


def test_ray_start_is_found_in_a_shell_line() -> None:
    line = "ulimit -n 65536; ray start --head --num-cpus=0 --dashboard-host 0.0.0.0 --block ; echo"
    assert start_flags(["bash", "-c", "--", line]) == {
        "--head": "", "--num-cpus": "0", "--dashboard-host": "0.0.0.0", "--block": "",
    }  # fmt: skip
    assert start_flags(["sleep", "1"]) == {}


@pytest.mark.parametrize(
    ("resources", "asked", "found"),
    [
        ({"limits": {"cpu": "2500m"}}, None, 2),
        ({"requests": {"cpu": "3"}}, None, 3),
        ({"limits": {"cpu": "100m"}}, None, 1),
        ({"limits": {"cpu": "4"}}, "0", 0),
        ({}, None, 1),
    ],
)
def test_cpus_of_a_ray_node(
    resources: dict[str, dict[str, str]], asked: str | None, found: int
) -> None:
    assert processors({"resources": resources}, asked) == found
