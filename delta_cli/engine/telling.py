"""What a message in the log says beyond the constant name of its event.

An application that embeds a worker may log messages alone; Delta's own formatters show the name
and the fields instead.
"""


class Facts:
    """The main facts of an event: `log.error("work failed: %s", Facts(...), extra=fields)`.

    Text of others is on one line, and what could drive a terminal is shown as an escape.
    """

    def __init__(self, *facts: str) -> None:
        self._facts: tuple[str, ...] = facts

    def __str__(self) -> str:
        """As `user/ann, attempt 3: ValueError: no`: what the last one explains, before it."""
        *of, why = self._facts
        text = f"{', '.join(of)}: {why}" if of else why
        if text.isprintable():
            return text
        return "".join(one if one.isprintable() else _escaped(one) for one in text)


def name_in(namespace: str, kind: str, object_id: str) -> str:
    """A resource as people name it; its namespace only where that is not the default one."""
    name = f"{kind}/{object_id}"
    return name if namespace == "default" else f"{name} in {namespace}"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
