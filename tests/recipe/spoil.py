"""Makes recipes worse, in every way that people and programs do. `chance` is a `random.Random`."""

import copy
import datetime
import tomllib

import tomli_w

SECTIONS = ["data", "model", "optimizer", "views", "pass", "noise", "labeler", "loss", "schedule", "metric", "tracker", "generation", "step"]  # fmt: skip
LISTS = ["pass", "noise", "labeler", "loss", "schedule", "metric", "tracker", "generation"]
NUMBERS = [
    0, 1, -1, 2, 3.5, 1e308, -1e308, 5e-324, 10**6, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 10**30, 16**5000,
    float("inf"), float("-inf"), float("nan"), -0.0,
]  # fmt: skip
TEXTS = [
    "", " ", "x", "labeled", "unlabeled", "weak", "clean", "lr", "pool", "step", "both", "none", "previous", "continue",
    "randaugment", "confidence", "cross_entropy", "distillation.weight", "confidence.threshold", "a b", "a.b", "{x}", "{}",
    "%s", "..", "~", "a\nb", "tab\t", "\x1b[2J\x1b[31m", "\x7f\x9b31m", "\u202egnimaerd", "\u200bsteps", "steps\u00a0", "é",
    "名前", "\U0001f600", "\ufeff", "\u2028", "ﬁt", "x" * 300, "x" * 5000, "`", "``", '"', "'", "\\", "#", "[[noise]]", "\x00",
    "true", "1e3", "0x10", "resnet18", "tf_efficientnet b0", "test_resnet.nope", "hub:x", "adamw", "$HOME", "-", "--help",
]  # fmt: skip
FILES = [
    "fog.py:Fog", "none.py:None_", "raises.py:X", "exits.py:X", "broken.py:X", "pipe.py:X", "zero.py:X", "loop.py:X",
    "folder.py:X", "cafe.py:X", "fog.py", "fog.py:", "fog.py:Fog:Fog", "fog.py:Path", "sub/../fog.py:Fog", "../fog.py:Fog",
    "/nowhere/fog.py:Fog", "fog.py/x.py:Fog", "x" * 300 + ".py:X", "a\x00.py:X", "exits_late.py:X", "odd.py:Odd", "odd.py:Own",
    "odd.py:Loud",
]  # fmt: skip
RECIPES = [
    "base.toml", "supervised.toml", "noisy_student", "spoiled.toml", "./spoiled.toml", "nowhere.toml", "pipe.toml", "zero.toml",
    "loop.toml", "folder.toml", "cycle_a.toml", "deep_0.toml", "bytes.toml", "utf16.toml", "/dev/zero", "/dev/stdin", "/", ".",
    "", "-", "noisy_studnt", "x" * 300, "a\x00b", "https://example.org/x.toml",
]  # fmt: skip
DATES = [datetime.date(1979, 5, 27), datetime.time(7, 32), datetime.datetime(1979, 5, 27, tzinfo=datetime.UTC)]
OTHERS = [
    True, False, [], {}, [[]], [{}], [1, "a"], [[[[]]]], {"": {}}, {"a": {"b": {"c": 1}}}, {"use": "x"}, {"use": 3}, {"name": "x"},
    [{"use": "randaugment"}, {"use": "randaugment"}], {"jitter": {"ops": 3}}, {"randaugment": {"enabled": False}},
    ["labeled", "weak"], ["weak", 3], ["x"] * 200, {"options": {"a": float("nan")}}, *DATES, [DATES[0]],
]  # fmt: skip
RESERVED = {
    "use": [*FILES, "randaugment", "digits", "confidence", "cosine", "accuracy", "mixup", "nope", ""], "name": TEXTS,
    "on": TEXTS + OTHERS, "after": ["supervised", "jitter", "nope", "", 3, ["x"]], "enabled": [True, False, 0, "false"],
    "when": ["pool", "step", "both", "", 3], "extends": [*RECIPES, *([one, "fixmatch"] for one in RECIPES)], "files": [{}, {"x": "y"}, 3], "weights": [*RECIPES, *FILES],
    "root": RECIPES, "init": ["previous", "continue", "scratch", "x"], "labels": ["pool", "step", "both", "none", "x"],
}  # fmt: skip


def containers(value):
    """Every table and list within a value."""
    if isinstance(value, (dict, list)):
        yield value
        for item in value.values() if isinstance(value, dict) else value:
            yield from containers(item)


def any_value(chance):
    kind = chance.randrange(4)
    return copy.deepcopy(chance.choice((NUMBERS, TEXTS, OTHERS, FILES + RECIPES)[kind]))


def misspelt(word, chance):
    """A key as fingers get it wrong."""
    at = chance.randrange(len(word) + 1)
    ways = [
        word[:at] + word[at + 1 :],
        word[:at] + "x" + word[at:],
        word + "s",
        word.upper(),
        word.replace("_", "-"),
        f" {word}",
    ]
    return chance.choice(ways)


def in_table(table, root, chance):
    """A key renamed, misspelt, dropped, moved, doubled, replaced, turned inside out, added; a reserved key set."""
    what = chance.randrange(9)
    if what == 0 or not table:
        key = chance.choice(list(RESERVED))
        table[key] = copy.deepcopy(chance.choice(RESERVED[key]))
        return
    key = chance.choice(list(table))
    value = table[key]
    if what == 1:
        del table[key]
    elif what == 2:
        table[misspelt(key, chance)] = table.pop(key)
    elif what == 3:
        table[misspelt(key, chance)] = copy.deepcopy(value)
    elif what == 4:
        other = chance.choice([one for one in containers(root) if isinstance(one, dict)])
        other[key] = copy.deepcopy(table.pop(key))
    elif what in (5, 6):
        table[key] = any_value(chance)
    elif what == 7:
        table[key] = (
            [value] if isinstance(value, dict) else (value or [{}])[0] if isinstance(value, list) else {key: value}
        )
    else:
        table[chance.choice(TEXTS + SECTIONS)] = any_value(chance)


def in_list(items, chance):
    """An entry doubled, dropped, moved, replaced, added."""
    what = chance.randrange(5)
    if what == 0 or not items:
        items.insert(chance.randrange(len(items) + 1), any_value(chance))
    elif what == 1:
        items.append(copy.deepcopy(chance.choice(items)))
    elif what == 2:
        items.pop(chance.randrange(len(items)))
    elif what == 3:
        chance.shuffle(items)
    else:
        items[chance.randrange(len(items))] = any_value(chance)


def generations(table, chance):
    """Overrides of some key of the recipe, of a plugin that is or is not there, of everything."""
    over = {}
    for _ in range(chance.randrange(1, 4)):
        section = chance.choice([*SECTIONS, "steps", "labels", "init", "seed", "tracker", "batch"])
        found = table.get(section)
        names = (
            [one.get("name", one.get("use")) for one in found if isinstance(one, dict)]
            if isinstance(found, list)
            else []
        )
        value = copy.deepcopy(found) if found is not None and chance.random() < 0.3 else any_value(chance)
        if names and chance.random() < 0.7:
            name, key = (
                str(chance.choice([*names, "nope"])),
                chance.choice([*RESERVED, "weight", "threshold", "magnitude"]),
            )
            over[section] = {name: {key: copy.deepcopy(chance.choice(RESERVED.get(key, NUMBERS)))}}
        elif isinstance(found, dict) and chance.random() < 0.7:
            over[section] = {chance.choice([*found, "nope"]): value}
        else:
            over[section] = value
    old = table.get("generation")
    table["generation"] = [*(old if isinstance(old, list) else []), *[over] * chance.choice([1, 1, 1, 2, 30])]


def grown(table, chance):
    """Deep, long, or both."""
    what = chance.randrange(4)
    if what == 0:
        inner = {}
        for _ in range(chance.choice([5, 31, 32, 33, 60])):
            inner = {"a": inner} if chance.random() < 0.8 else {"a": [inner]}
        table[chance.choice(["x", "model", "views"])] = inner
    elif what == 1:
        section = chance.choice(LISTS)
        table[section] = [{"name": f"n{i}", "use": "dropout"} for i in range(chance.choice([2, 50, 200, 1001]))]
    elif what == 2:
        table["views"] = {f"v{i}": {"stream": "labeled"} for i in range(chance.choice([3, 100, 1001]))}
    else:
        table |= {f"key{i}": i for i in range(chance.choice([1, 60, 2000]))}


def as_toml(value):
    """TOML of a table. Numbers that Python refuses to write in tens are written in sixteens, surrogates as they come."""
    big = "0x1" + "0" * 5000
    text = tomli_w.dumps(_with_marks(value))
    return text.replace('"a number of thousands of digits"', big)


def _with_marks(value):
    if isinstance(value, dict):
        return {key: _with_marks(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_marks(item) for item in value]
    big = isinstance(value, int) and value.bit_length() > 10_000
    return "a number of thousands of digits" if big else value


def gently(table, chance):
    """What may well stay sound: another number, a switch, another order."""
    key = chance.choice(list(table))
    value = table[key]
    if isinstance(value, bool):
        table[key] = not value
    elif isinstance(value, (int, float)) and abs(value) < 2**53:
        table[key] = chance.choice([value, value + 1, value * 2, value / 2, 1, 0.5])
    elif isinstance(value, list):
        chance.shuffle(value)
    elif isinstance(value, dict) and value:
        gently(value, chance)
    else:
        table[chance.choice(["seed", "workers", "log_every", "enabled"])] = chance.choice([0, 1, True, False])


def spoiled_table(text, chance):
    """A recipe's text with one to four changes of what it says."""
    root = tomllib.loads(text)
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        what = chance.random()
        tables = [one for one in containers(root) if isinstance(one, dict) and one]  # none where all was taken out
        if what > 0.8 and tables:
            gently(chance.choice(tables), chance)
        elif what < 0.12:
            generations(root, chance)
        elif what < 0.15:
            grown(root, chance)
        else:
            place = chance.choice(list(containers(root)))
            in_table(place, root, chance) if isinstance(place, dict) else in_list(place, chance)
    return as_toml(root).encode()


SNIPPETS = [
    b"\x00", b"\xff", b"\r", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\x1b[2J", b'"', b"'", b'"""', b"'''", b"[", b"]", b"[[", b"]]", b"{",
    b"}", b"=", b"= =", b",", b".", b"#", b"\\", b"\n", b"\n[noise]\n", b"\n[[model]]\n", b"\n[data]\n", b"\n[[noise]]\n", b"[" * 2000,
    b"{a=" * 300, b"a." * 100, b"a.b=1\n", b"\nsteps = \n", b"\nsteps = 100\n", b"9" * 5000, b"1e999", b"nan", b"1979-05-27", b"\\ud800",
    b"\xe2\x80\xae", b"x" * 25_000,
]  # fmt: skip
ENCODINGS = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "utf-8-sig", "latin-1", "cp1252", "utf-7", "shift-jis"]  # fmt: skip


def spoiled_text(text, chance):
    """A recipe's bytes with one to three changes, whatever they mean."""
    data = text.encode()
    for _ in range(chance.choice([1, 1, 2, 3])):
        data = _changed(data, chance)
    return data


def _changed(data, chance):
    what = chance.randrange(8)
    lines = data.split(b"\n")
    one, two = chance.randrange(len(lines)), chance.randrange(len(lines))
    at = chance.randrange(len(data) + 1)
    if what == 0:
        return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
    if what == 1:
        return data[:at] + chance.choice(SNIPPETS) + data[at:]
    if what == 2:
        return data[:at] + data[at + chance.choice([1, 2, 30]) :]
    if what == 3:
        return data[:at]
    if what == 4:
        lines[one], lines[two] = lines[two], lines[one]
    elif what == 5:
        lines.insert(two, lines[one])
    elif what == 6:
        lines[one] = lines[one][: chance.randrange(len(lines[one]) + 1)]
    elif chance.random() < 0.3:
        return data.replace(b"\n", chance.choice([b"\r", b"\r\n", b"\n\r"]))
    else:
        return data.decode("utf-8", "replace").encode(chance.choice(ENCODINGS), "replace")
    return b"\n".join(lines)


PATHS = ["steps", "noise", "labeler", "loss", "model", "optimizer", "views", "generation", "batch", "name", "options", "threshold",
         "weight", "confidence", "randaugment", "supervised", "0", "1", "99", "x", "", " ", "é", "extends", "files", "use", "on"]  # fmt: skip
VALUES = ["1", "0.5", "true", "word", "two words", '"text"', "[1, 2]", "[labeled,unlabeled]", '["labeled"]', "{ a = 1 }", "{a=b}", "", '"',
          '"b', "'", "[", "{", "[[", "nan", "1e999", "1979-05-27", "=1", "#", "\n", "1\n2", "é", "\udcff", "\x1b[2J", "./fog.py:Fog",
          "9" * 5000, "0x" + "f" * 5000, "x" * 3000, "[" * 3000, "{}", "[]"]  # fmt: skip


def settings(chance):
    """What somebody typed after `--set`, some times over."""
    made = []
    for _ in range(chance.choice([1, 1, 2, 3])):
        path = ".".join(chance.choice(PATHS) for _ in range(chance.choice([1, 1, 2, 2, 3, 4, 40])))
        made.append(path + chance.choice(["=", "=", "=", "=", "=", " = ", "", ":", "=="]) + chance.choice(VALUES))
    return made
