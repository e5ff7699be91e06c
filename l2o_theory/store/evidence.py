"""Evidence files: one JSON document each, named by its claim and by the digest of its own bytes."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2o_theory.errors import StoreError
from l2o_theory.store.atomic import write_atomically

FORMAT = 1
_NAME = re.compile(r"[a-z0-9_.]+-([0-9a-f]{16})\.json")


@dataclass(frozen=True)
class Reference:
    """Where one piece of evidence lies.

    Attributes:
        kind: "certificate", "search" or "measurement".
        file: name inside the evidence folder.
        digest: sha256 of the file's bytes, in hexadecimal.
    """

    kind: str
    file: str
    digest: str


def is_evidence_name(name: str) -> bool:
    """Whether a file of this name was written by `write`."""
    return _NAME.fullmatch(name) is not None


def write(folder: Path, claim: str, kind: str, content: Mapping[str, Any]) -> Reference:
    """Write one piece atomically; the same content always gets the same name.

    Raises:
        StoreError: the file cannot be written, or the content is not plain data.
    """
    document = {"format": FORMAT, "claim": claim, "kind": kind, "content": finite(content)}
    try:
        text = json.dumps(document, indent=1, allow_nan=False)  # keys unsorted: definitions build on earlier ones
    except (TypeError, ValueError) as error:
        raise StoreError(f"{claim}: the {kind} is not plain JSON data ({error}); mend what produced it") from None
    data = (text + "\n").encode()
    digest = hashlib.sha256(data).hexdigest()
    name = f"{claim.replace('/', '.')}-{digest[:16]}.json"
    write_atomically(folder / name, data)
    return Reference(kind, name, digest)


def read(path: Path, digest: str | None = None) -> dict[str, Any]:
    """Read one piece and compare its bytes with the digest in the ledger, or with the one in its name.

    Returns:
        The document: format, claim, kind, content.

    Raises:
        StoreError: missing, cut short, edited since it was written, or of a newer format.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(f"cannot read {path} ({error.strerror}); make it anew with `l2o-theory check`") from None
    named = _NAME.fullmatch(path.name)
    wanted = digest or (named.group(1) if named else "")
    if not hashlib.sha256(data).hexdigest().startswith(wanted):
        raise StoreError(
            f"{path} was edited or cut short after it was written; "
            "restore it, or make it anew with `l2o-theory check --fresh`"
        )
    try:
        document = json.loads(data)
        version, _ = document["format"], (document["claim"], document["kind"], document["content"])
    except (ValueError, TypeError, KeyError):
        raise StoreError(f"{path} is not an evidence file; give a file from an evidence folder") from None
    if version != FORMAT:
        raise StoreError(f"{path} has format {version}, this version reads {FORMAT}; upgrade l2o-theory")
    return dict(document)


def finite(value: Any) -> Any:
    """The value with nan and infinities replaced by None, since JSON has no word for them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value
