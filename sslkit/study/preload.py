"""What the server of a study's processes loads before it makes any: libraries, which compute nothing by being loaded."""

import signal
from contextlib import suppress
from importlib import import_module

# What reaches the whole group of processes must end those that work, once they have saved themselves, and not the server
# that tells how they ended. Each of them listens again.
for name in ("SIGINT", "SIGTERM", "SIGHUP"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_IGN)

# With torch and all that a run needs; then what runs load when they first need it, each of which takes a second.
for module in (f"{__package__}.work", "timm", "albumentations", "sklearn.datasets", "scipy.stats", "torch._dynamo"):
    with suppress(ImportError):
        import_module(module)
