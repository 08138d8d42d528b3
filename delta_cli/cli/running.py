"""Runs the coroutine of a command, so that SIGTERM closes what is open before the process ends."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, Final

from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.stopping import end_within

_PATIENCE_S: Final = 5.0


def run_async(
    coroutine: Coroutine[Any, Any, ExitCode | None],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> ExitCode | None:
    """Run to the end; SIGTERM cancels, so that whatever is open is closed, and gives 143."""
    termination = _Termination()
    before = signal.getsignal(signal.SIGTERM)
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            return runner.run(_until_terminated(coroutine, termination))
    except asyncio.CancelledError:  # it came when there was nothing left to wait for
        if not termination.has_come:
            raise
        return ExitCode.TERMINATED
    finally:
        signal.signal(signal.SIGTERM, before)


class _Termination:
    """What SIGTERM does: it cancels the task, once.

    As the runner does for SIGINT, and not by a handler of the loop, which would first have to come
    round: who is about to wait for a reader can see that it is cancelled.
    """

    def __init__(self) -> None:
        self.has_come: bool = False

    def listen(self) -> None:
        """Take over the signal for the current task."""
        task, loop = asyncio.current_task(), asyncio.get_running_loop()

        def terminate(_number: int, _frame: FrameType | None) -> None:
            if not self.has_come:
                self.has_come = True
                _cancel(task)
                loop.call_soon_threadsafe(lambda: None)  # it may be asleep

        signal.signal(signal.SIGTERM, terminate)


async def _until_terminated(
    coroutine: Coroutine[Any, Any, ExitCode | None], termination: _Termination
) -> ExitCode | None:
    termination.listen()
    try:
        code = await coroutine
    except asyncio.CancelledError:
        # All is closed; but Python would wait for a thread that hangs, as a tick's plain work may.
        has_come = termination.has_come
        end_within(_PATIENCE_S, ExitCode.TERMINATED if has_come else ExitCode.INTERRUPTED)
        if has_come:
            return ExitCode.TERMINATED
        raise
    # Who keeps its cancellation to itself, as the dashboard, has been ended by the signal too.
    return ExitCode.TERMINATED if termination.has_come and not code else code


def _cancel(task: asyncio.Task[Any] | None) -> None:
    if task is not None:
        task.cancel()
