"""Attachments: files that belong to a card, linked beside the page or embedded in it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from l2o_theory.errors import InputError

_IMAGES = {".png": "image/png", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Link:
    """One evidence file: what to call it, where it lies relative to the page, and whether it is there."""

    name: str
    href: str
    exists: bool


def link(folder: Path, path: str) -> Link:
    """The link to an evidence file, given relative to the folder of the page.

    Raises:
        InputError: the path is absolute, so the page would work on one machine only.
    """
    if Path(path).is_absolute():
        raise InputError(f"evidence must be named relative to the report's folder, got {path!r}; pass a relative path")
    return Link(Path(path).name, quote(path), (folder / path).is_file())


def embed(folder: Path, path: str) -> str:
    """The image file as a data: address.

    Raises:
        InputError: not an existing PNG or SVG file.
    """
    file = folder / path
    if file.suffix not in _IMAGES or not file.is_file():
        raise InputError(f"a figure must be an existing .png or .svg file, got {path!r}; correct the path")
    return f"data:{_IMAGES[file.suffix]};base64,{base64.b64encode(file.read_bytes()).decode()}"
