"""The states of resources by kind as rows of a table."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Final

from delta_cli.dash.glyphs import bars
from delta_cli.dash.snapshot import KindCounts, Snapshot
from delta_cli.dash.state import State
from delta_cli.dash.tones import OF_STATE, Tone
from delta_cli.dash.widgets.columns import Column
from delta_cli.dash.widgets.rows import Cells, Row
from delta_cli.dash.words import count, short_count, shown, since
from delta_cli.engine.model.pause import PauseScope
from delta_cli.engine.states import ResourceState

_S = ResourceState
#: The key of the row of sums; no kind can have it.
SUM: Final = ""
_OLD_S: Final = 60
_TITLES: Final = {
    _S.SYNCED: ("SYNCED", 9, 6),
    _S.PENDING: ("PEND", 5, 0),
    _S.SCHEDULED: ("SCHED", 5, 0),
    _S.FAILED: ("FAIL", 5, 0),
    _S.DEGRADED: ("DEGR", 5, 0),
    _S.EXPIRED: ("EXPD", 5, 1),
    _S.UNKNOWN: ("UNK", 5, 1),
    _S.DELETED: ("DEL", 5, 7),
}


def _column(state: ResourceState) -> Column:
    title, width, drop = _TITLES[state]
    return Column(state.value, title, width, right=True, drop=drop, most=width + 4)


def _columns(*waiting: Column, trend: int) -> Sequence[Column]:
    """`waiting`: the work that waits, which is never left out; `trend`: how soon that is."""
    return (
        Column("kind", "KIND", 12, most=40, first=24),
        Column("total", "TOTAL", 9, right=True, most=13),
        _column(_S.SYNCED),
        *waiting,
        *(_column(one) for one in (_S.FAILED, _S.DEGRADED, _S.EXPIRED, _S.UNKNOWN, _S.DELETED)),
        Column("due", "DUE", 5, right=True, drop=8, most=9),
        Column("oldest", "OLDEST", 7, right=True, most=9),
        Column("trend", "15 MIN", 15, drop=trend),
    )


#: Beside the rates, which have trends of their own, the states come first: they add up.
BESIDE_RATES: Final = _columns(_column(_S.PENDING), _column(_S.SCHEDULED), trend=9)
#: Without the rates there is no other trend, and what waits is told in one number.
ALONE: Final = _columns(Column("waiting", "PEND", 5, right=True, most=9), trend=2)


def kind_rows(snapshot: Snapshot, now: datetime, state: State) -> list[Row]:
    """A row for each kind, and one for all of them."""
    rows = [_row(one, snapshot, now, state) for one in snapshot.kinds]
    if len(rows) > 1:
        rows.append(Row(SUM, partial(_sum_cells, snapshot, now, state)))
    return rows


def _row(one: KindCounts, snapshot: Snapshot, now: datetime, state: State) -> Row:
    values = {
        "kind": one.kind,
        "total": one.total,
        "due": one.due,
        "oldest": one.oldest,
        "waiting": _waiting(one),
        **{each.value: one.states.get(each, 0) for each in _TITLES},
    }
    sign = "!" if one.states.get(_S.DEGRADED) or _is_old(one, now) else " "
    return Row(one.kind, partial(_kind_cells, one, snapshot, now, state), sign, values=values)


def _kind_cells(one: KindCounts, snapshot: Snapshot, now: datetime, state: State) -> Cells:
    trend = bars(state.trends.minutes(now, kind=one.kind), state.glyphs.bars)
    cells = _cells(one, now) | {"kind": (shown(one.kind), Tone.PLAIN), "trend": (trend, Tone.BUSY)}
    if snapshot.pause_of(PauseScope.KIND, one.kind) is not None:
        cells["oldest"] = ("paused", Tone.WARN)
    return cells


def _sum_cells(snapshot: Snapshot, now: datetime, state: State) -> Cells:
    states = {each: sum(one.states.get(each, 0) for one in snapshot.kinds) for each in _TITLES}
    oldest = min((one.oldest for one in snapshot.kinds if one.oldest), default=None)
    whole = KindCounts(SUM, states, sum(one.due for one in snapshot.kinds), oldest)
    trend = bars(state.trends.minutes(now), state.glyphs.bars)
    return _cells(whole, now) | {"kind": ("all", Tone.STRONG), "trend": (trend, Tone.BUSY)}


def _cells(one: KindCounts, now: datetime) -> dict[str, tuple[str, Tone]]:
    cells = {"total": (count(one.total), Tone.STRONG)}
    for state in _TITLES:
        number = one.states.get(state, 0)
        words = count(number) if state is _S.SYNCED else short_count(number)
        cells[state.value] = (words, OF_STATE[state] if number else Tone.MUTED)
    waiting = _waiting(one)
    tone = OF_STATE[_S.PENDING] if waiting else Tone.MUTED
    cells["waiting"] = (short_count(waiting), tone)
    cells["due"] = (short_count(one.due), Tone.BUSY if one.due else Tone.MUTED)
    old = _is_old(one, now)
    words = since(one.oldest, now) + ("!" if old else "")
    cells["oldest"] = (words, Tone.BAD if old else Tone.PLAIN)
    return cells


def _waiting(one: KindCounts) -> int:
    """How many are to be worked, whether somebody has taken them or not."""
    return sum(one.states.get(state, 0) for state in (_S.PENDING, _S.SCHEDULED))


def _is_old(one: KindCounts, now: datetime) -> bool:
    return one.oldest is not None and (now - one.oldest).total_seconds() > _OLD_S
