"""Imported first where a service starts: without pandas, as in the image of the day, wherever it is installed.

PyArrow imports it, where it can, for the first array it makes: a quarter of the time until a service answers.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder


class _WithoutPandas(MetaPathFinder):
    def find_spec(self, fullname: str, _path: Sequence[str] | None, _target: object = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError("the day does without pandas", name=fullname)


sys.meta_path.insert(0, _WithoutPandas())
