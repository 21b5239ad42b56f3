"""Options of timm's factories, tried on little: which of them it refuses is known before anything is trained."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from typing import Any, get_type_hints

from .message import Problems, did_you_mean, listed, sentence, words_of
from .model import ModelTable, OptimizerTable
from .places import Table
from .validate import validate

SAID = {
    "optimizer": {"lr": "rate", "opt": "name", "weight_decay": "weight_decay", "filter_bias_and_bn": "decay",
                  "layer_decay": "layer_decay"},
    "model": {"model_name": "name", "pretrained": "pretrained"},
}  # fmt: skip
"Arguments that have keys of their own."


def check_options(section: str, table: Table, problems: Problems) -> None:
    """Note the options of `[model]` or `[optimizer]` that timm refuses. A table that is wrong otherwise is left alone."""
    options = table.get("options")
    if not isinstance(options, Table) or not options:
        return
    cls: type[Any] = ModelTable if section == "model" else OptimizerTable
    laid = validate(cls, table, "", Problems())
    if laid is None:
        return
    for key in list(SAID[section].keys() & options.keys()):
        problems.add(options.where(key), f"[{section}] options: `{key}` has a key of its own",
                     f"say `{SAID[section][key]}` in [{section}]")  # fmt: skip
    given = {key: value for key, value in laid.options.items() if key not in SAID[section]}
    for name, why in _refused(section, laid, given):
        place = options.where(name) if name in options else table.where("options")
        known = partial(_known, section, laid.name, name) if name in options else ""
        problems.add(place, f"[{section}] {laid.name}: {why}", known)


def _refused(section: str, laid: Any, options: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What is refused, one after another, each option with the reason; no option: the reason names none."""
    known = set(_arguments(section, laid.name))
    while options and (section == "optimizer" or not known >= options.keys()):  # a model takes its time to be built
        try:
            _tried(section, laid, options)
        except (TypeError, ValueError) as error:
            said = words_of(error)
            name = _unexpected(error, options)
            if name is None and section == "model":  # what only the whole model's building tells
                return
            yield name or "", f"takes no option `{name}`" if name else f"timm refuses its options: {said}"
            if name is None:
                return
            options = {key: value for key, value in options.items() if key != name}
        except Exception:  # a package that is missing, no room: building tells of it
            return
        else:
            return


def _unexpected(error: Exception, options: Mapping[str, Any]) -> str | None:
    """The option that a call did not expect."""
    match = re.search(r"unexpected keyword argument '(\w+)'", words_of(error)) if isinstance(error, TypeError) else None
    return match[1] if match and match[1] in options else None


def _tried(section: str, laid: Any, options: Mapping[str, Any]) -> None:
    """Make one: an optimizer of a single number, a model without its numbers."""
    import torch

    if section == "model":
        if (error := _built(laid.name, json.dumps(options, sort_keys=True, default=str))) is not None:
            raise error.with_traceback(None)
        return
    from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]

    create_optimizer_v2([torch.nn.Parameter(torch.zeros(1, 1))], opt=laid.name, lr=laid.rate,
                        weight_decay=laid.weight_decay, **{"momentum": laid.momentum, **options})  # fmt: skip


@lru_cache(maxsize=256)
def _built(name: str, options: str) -> Exception | None:
    """What building a model raises. The largest take most of a second, and generations and reloads ask again."""
    import timm
    import torch

    try:
        with torch.device("meta"):
            timm.create_model(name, pretrained=False, **json.loads(options))
    except Exception as error:
        return error
    return None


def _known(section: str, name: str, option: str) -> str:
    """Which options there are, and which was meant."""
    known = _arguments(section, name)
    guess = did_you_mean(option, known)
    return sentence(f"it takes: {listed(known)}.", guess) if known else guess


def _arguments(section: str, name: str) -> list[str]:
    """Names of what a factory's product takes, as far as its signature says them."""
    from timm.models import model_entrypoint
    from timm.optim import get_optimizer_class  # type: ignore[attr-defined]

    try:
        if section == "optimizer":
            made = get_optimizer_class(name, bind_defaults=False)
        else:
            made = get_type_hints(model_entrypoint(name.partition(".")[0]))["return"]
        found = list(inspect.signature(made).parameters.values())
    except Exception:  # of some hub, or not annotated
        return []
    named = [one.name for one in found if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    return [one for one in named if one not in ("params", *SAID[section])]
