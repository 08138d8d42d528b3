"""`delta run --metrics-port`: what Prometheus reads of the fleet."""

import re
import socket
import urllib.error
import urllib.request

import psycopg
import pytest

from tests.cli.conftest import Here, Inform, Rows
from tests.support.command_line import CommandLine
from tests.support.embedded import until

SYNCED = re.compile(r'synced_total\{worker="1",host=.*\} 1$', re.MULTILINE)


@pytest.fixture
def port() -> int:
    """One that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def answer(port: int, path: str = "/metrics") -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except urllib.error.URLError:
        return 0, ""


def test_prometheus_reads_workers_ticks_and_quotas(
    shop: CommandLine, inform: Inform, rows: Rows, dsn: str, port: int
) -> None:
    inform("a", b="bad")
    shop("namespaces", "set", "default", "--fleet-max-workers", "7").expect(0)
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "insert into delta.delta_tick (name, interval_s, lock_id)"
            " values ('odd \"name\"', 60, 11)"
        )
    with shop.started("run", "--metrics-port", str(port)):
        until(lambda: answer(port)[0] == 200)
        until(lambda: rows()["a"]["state"] == "synced")
        until(lambda: SYNCED.search(answer(port)[1]) is not None)
        code, text = answer(port)
        assert code == 200
        assert 'delta_tick_failures{tick="odd \\"name\\""} 0\n' in text
        assert "# TYPE delta_worker_synced_total counter\n" in text
        limit = 'delta_quota_limit{scope="namespace",name="default"} 7\n'
        until(lambda: limit in answer(port)[1])
        sample = re.compile(r'delta_\w+\{(?:\w+="(?:[^"\\]|\\.)*",?)+\} -?[\d.e+]+')
        lines = [line for line in answer(port)[1].splitlines() if not line.startswith("#")]
        assert [line for line in lines if not sample.fullmatch(line)] == []
        assert answer(port, "/")[0] == 404


def test_a_port_that_is_taken_is_told(shop: CommandLine) -> None:
    with socket.create_server(("", 0)) as server:
        number = str(server.getsockname()[1])
        done = shop("run", "--metrics-port", number).expect(2)
    assert f"--metrics-port {number} cannot be had" in done.err


def test_several_processes_have_no_port_of_metrics(here: Here) -> None:
    done = here("run", "--processes", "2", "--metrics-port", "9464").expect(2)
    assert "starts several" in done.err
