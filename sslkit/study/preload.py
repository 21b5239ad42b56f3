"""What the server of a study's processes loads before it makes any: libraries, which run nothing by being loaded."""

import signal

# What reaches the whole group of processes must end the ones that work, once they have saved themselves, not the server
# that says how they ended. Each of them listens again.
for name in ("SIGINT", "SIGTERM", "SIGHUP"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_IGN)

from . import work  # noqa: E402, F401 - with torch and all that a run needs
