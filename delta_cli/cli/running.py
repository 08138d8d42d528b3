"""Runs the coroutine of a command, so that SIGTERM closes what is open before the process ends."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from delta_cli.cli.exit_codes import ExitCode


def run_async(
    coroutine: Coroutine[Any, Any, ExitCode | None],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> ExitCode | None:
    """Run to the end; SIGTERM cancels, so that whatever is open is closed, and gives 143."""
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(_until_terminated(coroutine))


async def _until_terminated(
    coroutine: Coroutine[Any, Any, ExitCode | None],
) -> ExitCode | None:
    task = asyncio.current_task()
    terminated = False

    def terminate() -> None:
        nonlocal terminated
        if not terminated:
            terminated = True
            _cancel(task)

    with contextlib.suppress(NotImplementedError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
    try:
        return await coroutine
    except asyncio.CancelledError:
        if terminated:
            return ExitCode.TERMINATED
        raise


def _cancel(task: asyncio.Task[Any] | None) -> None:
    if task is not None:
        task.cancel()
