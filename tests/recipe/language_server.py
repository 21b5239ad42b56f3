"""tombi, a language tool for TOML, asked as an editor asks it: over stdio, without a network."""

import json
import os
import select
import subprocess
import sys
from pathlib import Path

TOMBI = str(Path(sys.executable).parent / "tombi")
PATIENCE = 60  # seconds after which a silent server is a failure, and not a test that hangs


def environment(folder: Path) -> dict[str, str]:
    """No settings and no cache of the person who tests."""
    own = {name: str(folder / name.lower()) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")}
    return {**os.environ, **own, "NO_COLOR": "1", "TOMBI_OFFLINE": "true"}


def lint(folder: Path, *paths: Path) -> subprocess.CompletedProcess[str]:
    """`tombi lint`, warnings being errors."""
    command = [TOMBI, "lint", "--offline", "--error-on-warnings", *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, env=environment(folder), cwd=folder, check=False)


class LanguageServer:
    """One process for all tests; each text is a file of its own, so that no answer is about an older one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0
        self.diagnostics: dict[str, list[dict]] = {}
        self.process = subprocess.Popen(
            [TOMBI, "lsp", "--offline"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=environment(folder), cwd=folder, bufsize=0,
        )  # fmt: skip
        document = {"completion": {"completionItem": {"documentationFormat": ["markdown"]}},
                    "hover": {"contentFormat": ["markdown"]}}  # fmt: skip
        self.ask("initialize", {"processId": None, "rootUri": folder.as_uri(), "capabilities": {"textDocument": document}})  # fmt: skip
        self.send({"method": "initialized", "params": {}})

    def close(self) -> None:
        self.ask("shutdown", None)
        self.send({"method": "exit"})
        self.process.stdin.close()
        self.process.wait(PATIENCE)
        self.process.stdout.close()

    # What a person does ------------------------------------------------------------------------------------------------

    def errors(self, text: str) -> list[tuple[int, str, str]]:
        """What is underlined: the number of its line, the text underlined, the message."""
        lines = text.split("\n")
        return sorted({(d["range"]["start"]["line"] + 1, underlined(lines, d["range"]), d["message"])
                       for d in self.diagnostics[self.open(text)]})  # fmt: skip

    def complete(self, text: str) -> dict[str, str]:
        """What is offered where `|` stands, each with its help."""
        found = self.at("textDocument/completion", text) or []
        items = found["items"] if isinstance(found, dict) else found
        return {item["label"]: help_of(item.get("documentation")) for item in items}

    def hover(self, text: str) -> str:
        """What is shown of the place before which `|` stands."""
        found = self.at("textDocument/hover", text)
        return help_of(found["contents"]) if found else ""

    def at(self, method: str, text: str):
        """Something asked of the place that `|` marks."""
        before, after = text.split("|")
        uri = self.open(before + after)
        place = {"line": before.count("\n"), "character": len(before) - before.rfind("\n") - 1}
        return self.ask(method, {"textDocument": {"uri": uri}, "position": place})

    # How it is said ----------------------------------------------------------------------------------------------------

    def open(self, text: str) -> str:
        """Open a text and wait until it is judged; answers its name."""
        self.count += 1
        uri = (self.folder / f"open{self.count}.toml").as_uri()
        document = {"uri": uri, "languageId": "toml", "version": 1, "text": text}
        self.send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
        while uri not in self.diagnostics:
            self.hear()
        return uri

    def ask(self, method: str, params):
        self.count += 1
        number = self.count
        self.send({"id": number, "method": method, "params": params})
        while True:
            answer = self.hear()
            if answer.get("id") == number and "method" not in answer:
                assert "error" not in answer, answer
                return answer.get("result")

    def send(self, message: dict) -> None:
        data = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(data) + data)

    def hear(self) -> dict:
        """One message; the server's own questions are answered with nothing."""
        size = 0
        while line := self.read_line().strip():
            name, _, value = line.partition(b":")
            size = int(value) if name.lower() == b"content-length" else size
        message = json.loads(self.read(size))
        if "method" in message and "id" in message:
            items = message.get("params") or {}
            self.send({"id": message["id"], "result": [None] * len(items.get("items", [])) or None})
        elif message.get("method") == "textDocument/publishDiagnostics":
            self.diagnostics[message["params"]["uri"]] = message["params"]["diagnostics"]
        return message

    def read_line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            line += self.read(1)
        return line

    def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
            assert ready, "the language server says nothing"
            part = os.read(self.process.stdout.fileno(), size - len(data))
            assert part, "the language server has ended"
            data += part
        return data


def help_of(value) -> str:
    return value.get("value", "") if isinstance(value, dict) else value or ""


def underlined(lines: list[str], span: dict) -> str:
    """The text of a range; of several lines the first."""
    start, end = span["start"], span["end"]
    stop = end["character"] if end["line"] == start["line"] else None
    return lines[start["line"]][start["character"] : stop]
