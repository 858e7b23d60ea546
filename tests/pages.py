"""The page of ``normbench report`` as a reader's machine has it, and records to make one of."""

import base64
import json
from hashlib import sha256
from html.parser import HTMLParser

from made_up import probe_record

from normbench.store.probe_records import probe_store

EVIL = '<script>alert("norm")</script>'


class PageReader(HTMLParser):
    """What is in a page: every element with its attributes, and the texts of some.

    Attributes:
        ids, elements: all of them, in order.
        scripts, texts: of scripts that run; of everything else that is read.
        data: what the charts are drawn from.
    """

    def __init__(self, html):
        super().__init__()
        self.elements, self.scripts, self.texts, self.data = [], [], [], None
        self._in = []
        self.feed(html)
        self.ids = [attributes["id"] for _, attributes in self.elements if "id" in attributes]

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._in.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self._in.pop()

    def handle_data(self, data):
        if not self._in:
            self.texts.append(data)
        elif self._in[-1][1].get("type") == "application/json":
            self.data = json.loads(data)
        elif self._in[-1][0] == "script":
            self.scripts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    @property
    def policy(self):
        """Content-Security-Policy: directive -> its sources."""
        (content,) = (
            attributes["content"]
            for tag, attributes in self.elements
            if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
        )
        return {name: of for name, *of in (part.split() for part in content.split(";"))}

    def attributes(self, name):
        return [attributes[name] for _, attributes in self.elements if name in attributes]


def digest(script):
    return f"'sha256-{base64.b64encode(sha256(script.encode()).digest()).decode()}'"


def probed(folder, records):
    """Records of probes as files below a results folder."""
    for one in records:
        store = probe_store(folder, one["config"]["probe"]["name"])
        store.make_writable()
        store.write(one)
    return folder


def watched(norm, seed, loss=1.0):
    """What the gradients, activations and landscape probes measure, small and made up."""
    layers, steps = ["features.0", "features.3"], 12
    at = [0, 5, 10]
    percentiles = [[-2, -4, -6], [-1] * 3, [0] * 3, [1] * 3, [2, 4, 6]]
    return [
        probe_record(
            "gradients",
            {"layers": layers, "norms": [[0.1 * (1 + seed + s) for s in range(steps)]] * 2},
            norm, seed,
        ),
        probe_record(
            "activations",
            {
                "layers": layers, "at": at, "mean": [[0.0, 0.1, 0.2]] * 2,
                "std": [[1.0, 2.0, 3.0]] * 2, "percentiles": [percentiles] * 2,
            },
            norm, seed,
        ),
        probe_record(
            "landscape",
            {
                "step_sizes": [0.1, 0.2], "at": at, "loss": [loss] * 3, "gradient_norm": [1.0] * 3,
                "losses": [[loss, 2 * loss]] * 3, "gradient_changes": [[0.5, 1.0]] * 3,
            },
            norm, seed,
        ),
    ]  # fmt: skip
