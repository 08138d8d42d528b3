"""The dialog before every action: what would be done to how many, and the equal command line."""

from typing import ClassVar, Final

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from delta_cli.dash.actions import Plan
from delta_cli.dash.tones import Piece, Tone, text_of
from delta_cli.dash.words import fit, shown

_MOST_COMMANDS: Final = 3
_WIDTH: Final = 64


class ConfirmScreen(ModalScreen[bool]):
    """Answers True only when the action's own button is pressed; the focus begins on the other."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "answer(False)", "cancel"),
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
    ]

    def __init__(self, plan: Plan, *, protected: str | None = None) -> None:
        """`protected`: the profile whose name has to be typed, however few it is about."""
        super().__init__()
        self.plan: Plan = plan
        self._typed: str | None = protected or (str(plan.count) if plan.is_typed else None)

    def compose(self) -> ComposeResult:
        """What, how many, the command, and two buttons."""
        plan = self.plan
        with Vertical(id="confirm"):
            # However much there is to say, the buttons stay in sight.
            with VerticalScroll(id="confirm-scroll", can_focus=False):
                yield Static(_words(plan), id="confirm-words")
            if self._typed is not None:
                words = f"type {self._typed} to confirm"
                yield Input(
                    placeholder=words, id="confirm-typed", compact=True, select_on_focus=False
                )
            with Horizontal(id="confirm-buttons"):
                keep, act = plan.answers
                yield Button(keep, id="cancel")
                yield Button(
                    Text(act),
                    id="do",
                    variant="error" if plan.verb == "delete" else "warning",
                    disabled=self._typed is not None,
                )

    def on_mount(self) -> None:
        """Enter on the spot must change nothing."""
        self.query_one("#cancel", Button).focus()

    def on_key(self, event: events.Key) -> None:
        """What is typed goes to where it is asked for, although a button has the focus."""
        typed = event.character or ""
        if self._typed is None or not typed.isalnum() or event.key == "n":
            return
        field = self.query_one("#confirm-typed", Input)
        if not field.has_focus:
            field.focus()
            field.insert_text_at_cursor(typed)
            event.stop()

    @on(Input.Changed)
    def check_typed(self, event: Input.Changed) -> None:
        """The button works once the word is typed."""
        self.query_one("#do", Button).disabled = event.value.strip() != self._typed

    @on(Input.Submitted)
    def submit(self) -> None:
        """Enter after the word confirms it."""
        if not self.query_one("#do", Button).disabled:
            self.dismiss(True)  # noqa: FBT003 - the answer

    @on(Button.Pressed)
    def press(self, event: Button.Pressed) -> None:
        """A button is the answer."""
        self.dismiss(event.button.id == "do")

    def action_answer(self, answer: bool) -> None:  # noqa: FBT001 - an action of a key
        """A key is the answer."""
        self.dismiss(answer)


def _words(plan: Plan) -> Text:
    noun = "resource" if plan.thing is None else str(plan.thing.scope)
    many = "s" if plan.count != 1 else ""
    pieces: list[Piece] = [
        (f"{plan.verb.capitalize()} {plan.count:,} {noun}{many}?\n", Tone.STRONG)
    ]
    pieces += [
        (f"  {fit(shown(sample), _WIDTH, cut='~')}\n", Tone.PLAIN) for sample in plan.samples
    ]
    if plan.refused:
        pieces.append((f"{len(plan.refused):,} more are left alone: their state ", Tone.WARN))
        pieces.append((f"does not allow {plan.verb}\n", Tone.WARN))
    if plan.thing is None:
        pieces.append(("What has changed by then is left alone and told.\n", Tone.MUTED))
    pieces.append(("\nThe same from a shell:\n", Tone.MUTED))
    for command in plan.commands[:_MOST_COMMANDS]:
        pieces.append((f"  {shown(command[:400])}\n", Tone.PLAIN))
    more = len(plan.commands) - _MOST_COMMANDS
    if more > 0:
        pieces.append((f"  and {more:,} more commands\n", Tone.MUTED))
    return text_of(pieces)
