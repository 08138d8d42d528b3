"""Names on the command line that nothing can have: they are mistakes of usage, told at once."""

from collections.abc import Iterable

from delta_cli.cli.usage_errors import told_as_usage
from delta_cli.engine.settings import check_namespace, check_tag


def check_names(namespaces: Iterable[str | None], tags: Iterable[str] = ()) -> None:
    """Raise ConfigError for a namespace or a tag that breaks the rule of its names."""
    with told_as_usage():
        for namespace in namespaces:
            if namespace is not None:
                check_namespace(namespace)
        for tag in tags:
            check_tag(tag)
