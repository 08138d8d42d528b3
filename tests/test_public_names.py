import ast

import delta_cli
from tests.support.programs import CHECKOUT

INIT = CHECKOUT / "delta_cli/__init__.py"


def names_that_a_type_checker_reads() -> dict[str, str]:
    """The public names in the block that only type checkers read, and the module of each."""
    tree = ast.parse(INIT.read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {str(one.asname): str(node.module) for node in imports for one in node.names}


def test_a_type_checker_reads_the_names_that_are_there_at_run_time() -> None:
    there = {name: f"delta_cli.engine.{home}" for name, home in delta_cli._HOME_OF.items()}
    assert names_that_a_type_checker_reads() == there


def test_every_public_name_can_be_imported() -> None:
    assert delta_cli.__all__ == sorted(set(delta_cli.__all__))
    for name in delta_cli.__all__:
        assert getattr(delta_cli, name).__name__ == name


def test_what_the_public_calls_take_and_return_is_public() -> None:
    named = {"ResourceFilter", "Status", "InformRunState", "Change", "WorkerSummary"}
    assert {*named, "Repair", "Subscription"} <= set(delta_cli.__all__)
    of_control = {"ControllerRow", "NamespaceRow", "Pause", "PauseScope", "QuotaRow", "WorkerRow"}
    assert {*of_control, "ControlPlane"} <= set(delta_cli.__all__)
