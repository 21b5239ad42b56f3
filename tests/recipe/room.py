"""A folder of everything that a recipe may name: plugin files and recipes that are broken, endless, or no files at all."""

import os

from kitchen import BASE, Kitchen

PLUGINS = {
    "fog": "from dataclasses import dataclass\nfrom pathlib import Path\nfrom sslkit import hookimpl\n"
    "@dataclass(eq=False, kw_only=True)\nclass Fog:\n    thick: float = 1.0\n"
    "    @hookimpl\n    def perturb_batch(self, images, view, progress): ...\n",
    "none": "", "raises": "raise ValueError('one\\ntwo\\n\\x1b[2J')", "exits": "import sys\nsys.exit()",
    "broken": "class :", "cafe": "# caf\xe9\nx = 'caf\xe9'",
    "exits_late": "from dataclasses import dataclass\nfrom sslkit import hookimpl\nimport sys\n"
    "@dataclass(eq=False, kw_only=True)\nclass X:\n    thick: float = 1.0\n    def __post_init__(self): sys.exit(3)\n"
    "    @hookimpl\n    def mix(self, step): ...\n",
    "odd": "from dataclasses import dataclass\nfrom sslkit import hookimpl\n"
    "@dataclass(eq=False, kw_only=True)\nclass Odd:\n    kind: type = int\n    raw: bytes = b'\\xff'\n"
    "    @hookimpl\n    def mix(self, step): ...\n"
    "class Watch(type):\n    def __getattribute__(cls, name):\n        if name == 'mix': raise RuntimeError('no')\n"
    "        return super().__getattribute__(name)\n"
    "@dataclass(eq=False, kw_only=True)\nclass Own(metaclass=Watch):\n    @hookimpl\n    def mix(self, step): ...\n"
    "class Mute(BaseException):\n    def __str__(self): raise ValueError\n"
    "@dataclass(eq=False, kw_only=True)\nclass Loud:\n    def __post_init__(self): raise Mute\n"
    "    @hookimpl\n    def mix(self, step): ...\n",
}  # fmt: skip


def furnish(folder):
    """Fill a folder; its sound recipe is `base.toml`."""
    Kitchen(folder)
    for name, text in PLUGINS.items():
        (folder / f"{name}.py").write_bytes(text.encode("latin-1"))
    for kind in ("py", "toml"):
        os.mkfifo(folder / f"pipe.{kind}")
        (folder / f"zero.{kind}").symlink_to("/dev/zero")
        (folder / f"loop.{kind}").symlink_to(f"loop.{kind}")
        (folder / f"folder.{kind}").mkdir()
    (folder / "cycle_a.toml").write_text('extends = "cycle_b.toml"\n')
    (folder / "cycle_b.toml").write_text('extends = "cycle_a.toml"\n')
    for i in range(40):
        (folder / f"deep_{i}.toml").write_text(f'extends = "deep_{i + 1}.toml"\n')
    (folder / "bytes.toml").write_bytes(bytes(range(256)))
    (folder / "utf16.toml").write_bytes(BASE.encode("utf-16"))
