"""Runs the coroutine of a command, so that SIGTERM closes what is open before the process ends."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine
from typing import Any, Final

from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.stopping import end_within

_PATIENCE_S: Final = 5.0


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
        code = await coroutine
    except asyncio.CancelledError:
        # All is closed; but Python would wait for a thread that hangs, as a tick's plain work may.
        end_within(_PATIENCE_S, ExitCode.TERMINATED if terminated else ExitCode.INTERRUPTED)
        if terminated:
            return ExitCode.TERMINATED
        raise
    # Who keeps its cancellation to itself, as the dashboard, has been ended by the signal too.
    return ExitCode.TERMINATED if terminated and not code else code


def _cancel(task: asyncio.Task[Any] | None) -> None:
    if task is not None:
        task.cancel()
