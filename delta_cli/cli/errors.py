"""Tells of errors on stderr: `error:` what, `hint:` what to do; under `-o json` one JSON object.

The traceback is shown with `--debug` and never otherwise.
"""

import json
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import typer
from typer.exceptions import TyperException

from delta_cli.cli.exit_codes import ExitCode, code_of
from delta_cli.cli.talk import say, write_stderr
from delta_cli.cli.text import escape_json, harmless_lines
from delta_cli.engine.errors import DeltaError

_BUG_HINT = "this is likely a fault in Delta; --debug shows where"


class Reporter:
    """Knows how the person wants to be told, from the words of the command line alone."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words: Sequence[str] = words
        self._as_json: bool = _asks_for_json(words)
        self._debug: bool = "--debug" in words

    def report(self, error: BaseException) -> ExitCode:
        """Tell of an error; returns the exit status that goes with it."""
        error = leaf(error)
        if isinstance(error, (typer.Abort, KeyboardInterrupt)):
            return ExitCode.INTERRUPTED
        if self._debug:
            self._show_traceback(error)
        if isinstance(error, TyperException):
            return self._usage(error)
        if isinstance(error, DeltaError):
            return self._tell(error.message, error.hint, code_of(error), type(error).__name__)
        told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return self._tell(told, _BUG_HINT, ExitCode.FAILED, type(error).__name__)

    def _usage(self, error: TyperException) -> ExitCode:
        if type(error).__name__ == "NoArgsIsHelpError":
            write_stderr(f"{error.format_message()}\n")
            return ExitCode.USAGE
        from delta_cli.cli.usage_errors import hint_of, message_of

        hint = hint_of(error, self._words)
        return self._tell(message_of(error), hint, ExitCode.USAGE, "UsageError")

    def _tell(self, message: str, hint: str | None, code: ExitCode, name: str) -> ExitCode:
        if self._as_json:
            _write_json({"error": name, "message": message, "hint": hint, "exit_code": int(code)})
        else:
            say(message, label="error")
            if hint:
                say(hint, label="hint")
        return code

    def _show_traceback(self, error: BaseException) -> None:
        from delta_cli.engine.dsn import mask_secrets

        text = "".join(traceback.format_exception(error))
        write_stderr(harmless_lines(mask_secrets(text)) + "\n")


def leaf(error: BaseException) -> BaseException:
    """What was raised inside groups of errors, the first of them."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return error


def _write_json(value: dict[str, Any]) -> None:
    from delta_cli.engine.dsn import mask_secrets

    value["message"] = mask_secrets(value["message"])
    print(escape_json(json.dumps(value, ensure_ascii=False)), file=sys.stderr)  # noqa: T201 - stderr


def _asks_for_json(words: Sequence[str]) -> bool:
    forms = ("json", "jsonl")
    for word, following in zip(words, [*words[1:], ""], strict=False):
        if word in ("-o", "--output") and following in forms:
            return True
        if word in {f"{flag}{form}" for flag in ("-o", "-o=", "--output=") for form in forms}:
            return True
    return False
