"""How often Python looks for cyclic garbage, which takes the longer the more is loaded.

It is the whole process's: a program may change it, a library must not do that to its host.
"""

import gc


def look_less_often(*thresholds: int) -> None:
    """Look only among what comes from now on, at these thresholds of `gc.set_threshold`.

    Thresholds that are left out stay as they are.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*thresholds)
