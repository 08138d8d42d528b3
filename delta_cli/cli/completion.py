"""Answers a shell that asks what to offer, or for the script with which it asks.

The shell sets `_DELTA_COMPLETE` to `complete_SHELL` and `COMP_LINE` to the line up to the cursor,
bash also `COMP_WORD` to what it replaces; `source_SHELL` prints the script.
"""

from collections.abc import Mapping
from typing import Any

from typer._click.shell_completion import CompletionItem, ShellComplete, split_arg_string

from delta_cli.cli.completion_scripts import SCRIPTS
from delta_cli.cli.completion_words import is_offered
from delta_cli.cli.text import harmless


def answer(command: Any, environ: Mapping[str, str]) -> str:
    """What to print for the shell; nothing where it asks for what there is not."""
    what, _, shell = environ["_DELTA_COMPLETE"].partition("_")
    if shell not in SCRIPTS:
        return ""
    if what == "source":
        return SCRIPTS[shell]
    # Typer's own script for zsh does not tell the line, and would run what we print.
    if what != "complete" or ("COMP_LINE" not in environ and shell != "bash"):
        return ""
    return _Completion(command, shell, environ).complete()


class _Completion(ShellComplete):
    """The words for one shell, each on a line of its own."""

    def __init__(self, command: Any, shell: str, environ: Mapping[str, str]) -> None:
        super().__init__(command, {}, "delta", "_DELTA_COMPLETE")
        self._shell = shell
        self._environ = environ

    def source_vars(self) -> dict[str, Any]:
        """None: the scripts are written for `delta`."""
        return {}

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words after `delta` that are whole, and the one at the cursor, without quotes."""
        line = self._environ.get("COMP_LINE")
        if line is not None:
            words = split_arg_string(line) + [""] * line[-1:].isspace()
            return words[1:-1], words[-1]
        # So does Typer's own script for bash tell it, which takes lines as ours does.
        words = split_arg_string(self._environ["COMP_WORDS"])
        place = int(self._environ["COMP_CWORD"])
        return words[1:place], "".join(words[place : place + 1])

    def complete(self) -> str:
        """The lines; none where only the shell knows what there is, such as files."""
        args, typed = self.get_completion_args()
        replaced = self._environ.get("COMP_WORD", typed)
        lines: list[str] = []
        for item in self.get_completions(args, typed):
            # The program's own options begin with dashes.
            if item.type == "plain" and is_offered(item.value.lstrip("-")):
                item.value = completed_word(item.value, typed, replaced)
                lines.append(f"{self.format_completion(item)}\n")
        return "".join(lines)

    def format_completion(self, item: CompletionItem) -> str:
        """The word and what it means, as the shell's script takes them."""
        word, meaning = item.value, harmless(" ".join((item.help or "").split()))
        if self._shell == "zsh":
            word, meaning = word.replace(":", r"\:"), meaning and f":{meaning}"
        elif self._shell == "fish":
            meaning = meaning and f"\t{meaning}"
        else:
            meaning = ""
        return word + meaning


def completed_word(value: str, typed: str, replaced: str) -> str:
    """What takes the place of `replaced`, with which `typed` ends, to complete it by a value.

    The shell replaces all of `--state=de`, of which only the value is looked for, or only what
    stands behind `:`, `=` or from `@` on, if it breaks words there.
    """
    name, equals, _ = typed.partition("=")
    word = f"{name}={value}" if equals and name.startswith("-") else value
    # Otherwise it is quoted, and replaced as a whole.
    return word[len(typed) - len(replaced) :] if typed.endswith(replaced) else word
