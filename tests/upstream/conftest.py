from tests.support.observing import observer

__all__ = ["observer"]
