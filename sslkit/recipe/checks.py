"""What a recipe's parts must be to one another: views, slots, schedules, label timings, passes."""

from __future__ import annotations

from .message import Problems
from .resolve import STREAMS, Draft, Plugin

SLOTS = frozenset({"open_data", "build_model", "average", "make_teacher", "label", "decide", "trainables", "train_step"})
"Hooks of which one answer is used."


def check(draft: Draft, problems: Problems) -> None:
    """One generation; fills in every plugin's `on`."""
    for plugin in draft.enabled:
        plugin.on = views_of(plugin, draft)


def views_of(plugin: Plugin, draft: Draft) -> list[str]:
    on = plugin.reserved.on
    on = [on] if isinstance(on, str) else on
    if on is None:
        on = {"noise": list(draft.views), "labeler": ["clean"], "schedule": ["lr"]}.get(plugin.section, [])
    out: list[str] = []
    for name in on:
        if name in STREAMS and name not in draft.views and plugin.section != "schedule":
            out.extend(view for view, table in draft.views.items() if table.stream == name)
        else:
            out.append(name)
    return list(dict.fromkeys(out))


def check_all(drafts: list[Draft], problems: Problems) -> list[str]:
    """Across generations; answers warnings."""
    return []
