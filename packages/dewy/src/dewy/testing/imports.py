"""What importing a plugin loads: nothing but Python's own modules, dewy's and the plugin's (R92)."""

from __future__ import annotations

import subprocess
import sys

__all__ = ["foreign_imports"]

_SCRIPT = """
import importlib, sys
import dewy.errors, dewy.hookspecs, dewy.types, dewy.urls
before = set(sys.modules)
importlib.import_module(sys.argv[1])
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
"""
_PATIENCE = 60.0


def foreign_imports(module: str) -> set[str]:
    """The top-level names of what importing a module loads besides the standard library, dewy and its own package.

    It is imported by a fresh interpreter, so that nothing is loaded already. An SDK in the answer makes the start of every
    dewy slower, also of those that never use the plugin: import it in the function that opens the backend.

    Args:
        module: The module's full name. The interpreter finds it where this one does.

    Raises:
        AssertionError: It cannot be imported; has what Python said.
    """
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}{_SCRIPT}", module],
        capture_output=True, text=True, timeout=_PATIENCE, check=False,
    )  # fmt: skip
    if done.returncode:
        raise AssertionError(f"{module} cannot be imported:\n{done.stderr[-2000:]}")
    own = {"dewy", module.partition(".")[0]}
    return {name for name in done.stdout.split() if name not in own and name not in sys.stdlib_module_names}
