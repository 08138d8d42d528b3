"""Clients in a forked child, as under a server that loads the application before it forks.

The programs run in processes of their own: one that forks should have few threads.
"""

from tests.support.programs import run_python

FORKED = """
import asyncio, gc, os, signal, sys, threading
from concurrent.futures import ThreadPoolExecutor
import psycopg
from delta_cli import Client, DeltaError, SyncClient
from tests.support.engine import Item

signal.alarm(60)

def fork(act):
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)
        try:
            print(act(), flush=True)
        except DeltaError as error:
            print(f"{error} | {error.hint}", flush=True)
        os._exit(0)
    return pid

def sessions():
    with psycopg.connect(sys.argv[1]) as connection:
        query = "select pid from pg_stat_activity where application_name = 'delta'"
        return {pid for pid, in connection.execute(query)}
"""

A_SYNC_CLIENT = f"""{FORKED}
def wrong_rows(name):
    items = [Item(f"{{name}}-{{number}}") for number in range(40)]
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(client.inform, items))
    return [row.row.object_id for row, item in zip(results, items) if row.row.object_id != item.id]

with SyncClient(sys.argv[1]) as client:
    wrong_rows("before")
    before = sessions()
    children = [fork(lambda: wrong_rows(f"child-{{number}}")) for number in range(3)]
    print(wrong_rows("parent"), flush=True)
    children.append(fork(lambda: client.__exit__() or gc.collect() >= 0))
    print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
    print(wrong_rows("after"), before <= sessions())
"""


def test_forked_children_share_no_connection_of_a_sync_client_with_their_parent(dsn: str) -> None:
    told = run_python(A_SYNC_CLIENT, dsn).splitlines()
    assert sorted(told) == sorted([*["[]"] * 4, "True", "[0, 0, 0, 0]", "[] True"])


A_CLIENT = f"""{FORKED}
async def main():
    async with Client(sys.argv[1]) as client:
        await client.inform(Item("a"))
        for use in (client.status, client.open, client.close):
            os.waitpid(fork(lambda: asyncio.run(use())), 0)
        print((await client.inform(Item("a"))).outcome)

asyncio.run(main())
"""


def test_a_client_is_refused_in_a_forked_child_and_serves_its_parent_still(dsn: str) -> None:
    *children, parent = run_python(A_CLIENT, dsn).splitlines()
    assert len(children) == 3
    for told in children:
        assert told.startswith("this client belongs to another process")
        assert "open a Client in each process" in told
    assert parent == "unchanged"
