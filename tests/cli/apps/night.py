"""Users and invoices whose API is down as long as there is a file `down`; they are tried hourly."""

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from delta_cli import Config, Controller, ExponentialBackoff, Resource

DOWN = Path(os.environ["SHOP_FOLDER"], "down")


@dataclass
class User:
    id: str
    kind: ClassVar[str] = "user"


@dataclass
class Invoice:
    id: str
    kind: ClassVar[str] = "invoice"


def call(name: str) -> None:
    if DOWN.exists():
        raise ConnectionError(f"the API of {name} is down")


class UserController(Controller[User]):
    backoff = ExponentialBackoff(base=timedelta(hours=1), floor=timedelta(hours=1))

    def work(self, resource: Resource[User]) -> None:
        call("users")


class InvoiceController(Controller[Invoice]):
    backoff = UserController.backoff

    def work(self, resource: Resource[Invoice]) -> None:
        call("invoices")


config = Config(controllers=[UserController(), InvoiceController()])
