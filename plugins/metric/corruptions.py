"""Being written."""

from dataclasses import dataclass

from sslkit import Classifier, Data, hookimpl


@dataclass(eq=False, kw_only=True)
class Corruptions:
    """Being written."""

    @hookimpl
    def measure(self, model: Classifier, data: Data) -> dict[str, float]:
        """Being written."""
        raise NotImplementedError
