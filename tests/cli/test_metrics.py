"""`delta run --metrics-port`: what Prometheus reads of the fleet."""

import asyncio
import contextlib
import re
import resource
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import psycopg
import pytest
from prometheus_client import Metric, parser
from prometheus_client.openmetrics import parser as openmetrics_parser

from delta_cli import Client, Config
from delta_cli.cli import metrics_fleet, metrics_http
from delta_cli.cli.metrics import metrics_server
from delta_cli.engine.embedded import EmbeddedServer
from tests.cli.conftest import Here, Inform, Rows
from tests.support.command_line import CommandLine, ended
from tests.support.embedded import until
from tests.support.programs import run_python
from tests.support.waiting import eventually

WORKER = ("gauge", {"worker", "host"})
COUNTED = ("counter", {"worker", "host"})
TOLD = {
    "delta_worker_in_flight": WORKER,
    "delta_worker_capacity": WORKER,
    "delta_worker_heartbeat_age_seconds": WORKER,
    "delta_worker_synced_total": COUNTED,
    "delta_worker_failed_total": COUNTED,
    "delta_worker_deleted_total": COUNTED,
    "delta_tick_failures": ("gauge", {"tick"}),
    "delta_tick_last_success_timestamp_seconds": ("gauge", {"tick"}),
    "delta_quota_limit": ("gauge", {"scope", "name"}),
    "delta_quota_granted": ("gauge", {"scope", "name"}),
    "delta_quota_used": ("gauge", {"scope", "name"}),
}
LAST_SUCCESS = "delta_tick_last_success_timestamp_seconds"
SILENT = b"GET /metrics HTTP/1.1\r\nHost: "


@pytest.fixture
def port() -> int:
    """One that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def answer(
    port: int, path: str = "/metrics", *, host: str = "127.0.0.1", accept: str = "*/*"
) -> tuple[int, str]:
    """Status and body; 0 where nobody answers."""
    request = urllib.request.Request(f"http://{host}:{port}{path}", headers={"Accept": accept})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - http above
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def families(text: str) -> dict[str, Metric]:
    return {one.name: one for one in parser.text_string_to_metric_families(text)}


def value(text: str, sample_name: str, /, **labels: str) -> float | None:
    """Of the one sample so called that has these labels, and may have more."""
    found = [
        sample.value
        for family in families(text).values()
        for sample in family.samples
        if sample.name == sample_name and labels.items() <= sample.labels.items()
    ]
    assert len(found) <= 1
    return found[0] if found else None


async def answers(port: int, status: int) -> bool:
    return (await asyncio.to_thread(answer, port))[0] == status


async def until_answered(port: int) -> None:
    await eventually(lambda: answers(port, 200), within=30.0)


@contextlib.contextmanager
def silent(port: int) -> Iterator[socket.socket]:
    """A scraper that never ends its request."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as scraper:
        scraper.sendall(SILENT)
        yield scraper


def test_prometheus_reads_workers_ticks_and_quotas(
    shop: CommandLine, inform: Inform, rows: Rows, dsn: str, port: int
) -> None:
    inform("a", b="bad")
    shop("namespaces", "set", "default", "--fleet-max-workers", "7").expect(0)
    shop("tick", "rebalance").expect(0)
    odd = 'odd "name" \\ of\ntwo'
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "insert into delta.delta_tick (name, interval_s, lock_id, last_success)"
            " values (%s, 60, 11, null), ('ours', 60, 12, to_timestamp(1700000000.25))",
            [odd],
        )
    with shop.started("run", "--metrics-port", str(port)):
        until(lambda: answer(port)[0] == 200)
        until(lambda: rows()["a"]["state"] == "synced")
        until(lambda: value(answer(port)[1], "delta_worker_synced_total", worker="1") == 1)
        _, text = answer(port)
        assert value(text, "delta_quota_limit", scope="namespace", name="default") == 7
        assert value(text, "delta_tick_failures", tick=odd) == 0
        assert value(text, LAST_SUCCESS, tick=odd) is None
        assert value(text, LAST_SUCCESS, tick="ours") == 1700000000.25
        told = {
            sample.name: (family.type, set(sample.labels))
            for family in families(text).values()
            for sample in family.samples
            if sample.name.startswith("delta_")
        }
        assert told == TOLD
        assert "# TYPE delta_worker_synced_total counter\n" in text
        assert "_total_total" not in text
        assert answer(port, "/")[0] == 404
        assert answer(port, "/metrics/more")[0] == 404


async def test_each_scrape_reads_anew_and_in_the_format_that_it_asks_for(
    dsn: str, port: int
) -> None:
    async with Client(dsn, Config()) as client, metrics_server(client, port):
        _, text = await asyncio.to_thread(answer, port)
        assert value(text, "delta_quota_limit") is None
        await client.control.change_namespace("default", {"fleet_max_workers": 3})
        await client.tick("rebalance")
        open_metrics = "application/openmetrics-text;version=1.0.0"
        _, text = await asyncio.to_thread(answer, port, accept=open_metrics)
        found = {one.name: one for one in openmetrics_parser.text_string_to_metric_families(text)}
        assert [sample.value for sample in found["delta_quota_limit"].samples] == [3]
        assert found["delta_worker_synced"].type == "counter"
        _, text = await asyncio.to_thread(answer, port, "/metrics?name[]=delta_quota_limit")
        assert families(text).keys() == {"delta_quota_limit"}


@pytest.mark.skipif(sys.platform != "linux", reason="the library reads /proc")
async def test_the_process_that_answers_tells_of_itself(dsn: str, port: int) -> None:
    async with Client(dsn, Config()) as client, metrics_server(client, port):
        _, text = await asyncio.to_thread(answer, port)
    cpu, memory = "process_cpu_seconds_total", "process_resident_memory_bytes"
    # In ticks of a hundredth of a second, of user and system each.
    assert 0 < (value(text, cpu) or 0) <= time.process_time() + 0.02
    assert (
        10e6
        < (value(text, memory) or 0)
        <= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this host has no IPv6")
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_both_families_of_addresses_are_answered(dsn: str, port: int, host: str) -> None:
    async with Client(dsn, Config()) as client, metrics_server(client, port):
        assert (await asyncio.to_thread(answer, port, host=host))[0] == 200


async def test_a_scrape_while_the_database_is_away_is_refused(
    own_server: EmbeddedServer, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_http, "_VALUES_S", 0.5)
    async with Client(own_server.dsn, Config()) as client, metrics_server(client, port):
        await until_answered(port)
        own_server.stop(force=True)
        status, text = await asyncio.to_thread(answer, port)
        assert status == 503
        assert re.fullmatch(r".*the database is away.*\n", text)
        own_server.join()
        await until_answered(port)


async def test_values_that_do_not_come_in_time_are_no_longer_waited_for(
    dsn: str, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_http, "_VALUES_S", 0.5)
    async with Client(dsn, Config()) as client, metrics_server(client, port):
        await until_answered(port)
        async with await psycopg.AsyncConnection.connect(dsn) as other:
            await other.execute("lock table delta.delta_worker")
            late = "no values within 0.5 s: the database is away, or slow\n"
            assert await asyncio.to_thread(answer, port) == (503, late)

            async def nobody_waits() -> bool:
                cursor = await other.execute("select from pg_locks where not granted")
                return cursor.rowcount == 0

            await eventually(nobody_waits)
        await until_answered(port)


async def test_a_database_that_refuses_is_no_traceback(
    dsn: str, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with Client(dsn, Config()) as client, metrics_server(client, port):
        async with await psycopg.AsyncConnection.connect(dsn) as other:
            await other.execute("alter table delta.delta_tick drop column holder cascade")
        refused = "the database refuses; delta doctor tells why\n"
        assert await asyncio.to_thread(answer, port) == (503, refused)
    assert caplog.messages == []


async def test_a_fault_of_our_own_is_logged_and_ends_that_scrape_alone(
    dsn: str, port: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(client: Client) -> metrics_fleet.Fleet:
        raise RuntimeError("our own fault")

    async with Client(dsn, Config()) as client, metrics_server(client, port):
        with monkeypatch.context() as patch:
            patch.setattr(metrics_http, "read_fleet", broken)
            assert await asyncio.to_thread(answer, port) == (0, "")
        await until_answered(port)
    assert caplog.messages == ["scrape failed"]
    assert "our own fault" in caplog.text


async def test_silent_scrapers_keep_nobody_out_but_beyond_a_few(
    dsn: str, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_http, "_SCRAPE_S", 60.0)
    async with Client(dsn, Config()) as client, metrics_server(client, port):
        with contextlib.ExitStack() as scrapers:
            for _ in range(metrics_http._AT_ONCE - 1):
                scrapers.enter_context(silent(port))
            await until_answered(port)

            async def refused_beside_another() -> bool:
                # One is turned away itself while the scrape that was answered is ending.
                scrapers.enter_context(silent(port))
                return await answers(port, 0)

            await eventually(refused_beside_another, within=30.0)
        await until_answered(port)


async def test_a_silent_scraper_is_cut_off_in_time(
    dsn: str, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_http, "_SCRAPE_S", 0.2)
    async with Client(dsn, Config()) as client, metrics_server(client, port):
        with silent(port) as scraper:
            assert await asyncio.to_thread(scraper.recv, 1) == b""


def test_a_connected_scraper_does_not_delay_the_end(shop: CommandLine, port: int) -> None:
    with shop.started(
        "run",
        "--metrics-port",
        str(port),
    ) as process:
        until(lambda: value(answer(port)[1], "delta_worker_capacity") is not None)
        with silent(port) as scraper:
            process.send_signal(signal.SIGTERM)
            assert scraper.recv(1) == b""
            done = ended(process)
    assert done.code == 0
    assert "threads still run" not in done.err
    assert "Traceback" not in done.err


def test_a_worker_without_the_port_loads_nothing_for_it() -> None:
    program = "import sys, delta_cli.cli.worker_run; print(*sys.modules)"
    loaded = {name.partition(".")[0] for name in run_python(program).split()}
    assert loaded.isdisjoint({"prometheus_client", "http", "wsgiref", "socketserver"})


def test_a_port_that_is_taken_is_told(shop: CommandLine) -> None:
    with socket.create_server(("", 0)) as server:
        number = str(server.getsockname()[1])
        done = shop("run", "--metrics-port", number).expect(2)
    assert f"--metrics-port {number} cannot be had: Address already in use" in done.err


def test_several_processes_have_no_port_of_metrics(here: Here) -> None:
    done = here("run", "--processes", "2", "--metrics-port", "9464").expect(2)
    assert "starts several" in done.err
