"""The reference of every command for the README, made from the commands' own help.

`python -m delta_cli.cli.reference README.md` writes it anew between the two marks.
"""

import sys
from pathlib import Path
from typing import Any, Final

BEGIN: Final = "<!-- reference: written by make reference -->"
END: Final = "<!-- end of reference -->"
_WIDTH: Final = 88
_SHARED: Final = "Shared options"


def reference() -> str:
    """The help of all commands, those of a group beneath it; the shared options once."""
    import typer

    from delta_cli.cli.app import app

    root: Any = typer.main.get_command(app)
    context = _context(root, "delta", None)
    parts = [_section(name, root.commands[name], context) for name in root.commands]
    shared = _help(root.commands["status"], "status", context).partition(f"{_SHARED}:\n")[2]
    options = shared.partition("\n\n")[0]
    return "\n\n".join(["Every command takes these:", f"```text\n{options}\n```", *parts])


def rewritten(text: str) -> str:
    """A README with its reference anew. Raises ValueError where it has no marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"there is no {BEGIN} before an {END}")
    return f"{before}{BEGIN}\n\n{reference()}\n\n{END}{after}"


def _section(name: str, command: Any, parent: Any) -> str:
    text = _help(command, name, parent)
    below = getattr(command, "commands", {})
    context = _context(command, name, parent)
    texts = [text, *(_help(one, word, context) for word, one in below.items())]
    shown = "\n\n".join(_without_shared(one) for one in texts)
    return (
        f"<details><summary><code>delta {name}</code></summary>\n\n"
        f"```text\n{shown}\n```\n\n</details>"
    )


def _context(command: Any, name: str, parent: Any) -> Any:
    return command.context_class(
        command, info_name=name, parent=parent, terminal_width=_WIDTH, max_content_width=_WIDTH
    )


def _help(command: Any, name: str, parent: Any) -> str:
    lines = command.get_help(_context(command, name, parent)).splitlines()
    return "\n".join(line.rstrip() for line in lines)


def _without_shared(text: str) -> str:
    paragraphs = text.split("\n\n")
    return "\n\n".join(one for one in paragraphs if not one.startswith(f"{_SHARED}:")).strip()


def main() -> None:
    """Write the README's reference anew."""
    file = Path(sys.argv[1])
    file.write_text(rewritten(file.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
