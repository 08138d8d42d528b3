"""From a key to a changed row: ask, do what was confirmed, and say what it did."""

from functools import partial
from typing import TYPE_CHECKING

from delta_cli.dash.actions import Plan
from delta_cli.dash.messages import ActionDone
from delta_cli.dash.screens.confirm import ConfirmScreen
from delta_cli.dash.store import Report, reason_of
from delta_cli.dash.words import shown

if TYPE_CHECKING:
    from delta_cli.dash.base import DashBase


class Operator:
    """Acts for the person at the keys. Nothing is done that was not confirmed."""

    def __init__(self, app: "DashBase") -> None:
        self._app: DashBase = app

    def ask(self, verb: str) -> None:
        """Show what a verb would do to what is chosen; what is confirmed is done."""
        app = self._app
        plan = app.tab.plan(verb)
        if app.state.is_away or app.options.read_only:
            return
        if plan is None:
            app.notify(f"{verb}: not for what is under the cursor", markup=False, timeout=3)
            return
        if plan.count == 0:
            app.notify(shown(_refused(plan)), severity="warning", markup=False)
            return
        screen = ConfirmScreen(plan, protected=app.options.protected)
        app.push_screen(screen, partial(self._answered, plan))

    def _answered(self, plan: Plan, answer: bool | None) -> None:  # noqa: FBT001 - of the dialog
        if not answer:
            return
        if self._app.state.is_away:
            self._app.notify("no connection: nothing was changed", severity="error")
            return
        self._app.run_worker(partial(self._perform, plan), group="actions")

    async def _perform(self, plan: Plan) -> None:
        app = self._app
        try:
            report = await app.store.changes.perform(plan, actor=app.options.actor)
        except Exception as error:  # noqa: BLE001 - whatever it is, the person who acted is told
            text = reason_of(error, app.store.database)
            app.post_message(ActionDone(f"{plan.verb}: {text}", is_ok=False))
            return
        is_ok = report.is_ok and not report.stale
        app.post_message(ActionDone(_told(plan, report), is_ok=is_ok))


def _refused(plan: Plan) -> str:
    if plan.why_not:
        return plan.why_not
    if not plan.refused:
        return "what was marked is gone: esc takes the marks back"
    states = ", ".join(sorted({line.state.value for line in plan.refused}))
    return f"{plan.verb} is refused for what is {states}"


def _told(plan: Plan, report: Report) -> str:
    stale = f", {report.stale:,} left alone: changed since shown" if report.stale else ""
    what = f" ({report.words})" if report.words else ""
    return f"{_named(plan)}: {report.done:,} done{what}{stale}"


def _named(plan: Plan) -> str:
    if plan.thing is None:
        return plan.verb
    words = (plan.verb, plan.thing.scope.value, plan.thing.name)
    return " ".join(words[1:] if plan.verb == plan.thing.scope.value else words)
