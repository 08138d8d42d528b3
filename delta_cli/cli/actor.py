"""Who acts where --actor names nobody: events, errors, pauses and runs keep the name."""

import getpass
import os


def user_name() -> str:
    """The system's user, or the number where it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
