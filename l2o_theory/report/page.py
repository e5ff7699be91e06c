"""The page: all cards, counts and filters in one HTML file that needs no network."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from l2o_theory.claims.claim import Claim
from l2o_theory.claims.verdict import Status, Verdict
from l2o_theory.errors import InputError, StoreError
from l2o_theory.report import attachments, card, numerals, plot, wording
from l2o_theory.store.atomic import write_atomically

_NOT_VERSIONS = ("seed", "budget", "seconds", "examples")


def write_report(
    verdicts: Sequence[Verdict],
    claims: Mapping[str, Claim],
    out: Path,
    *,
    evidence_links: Mapping[str, Sequence[str]] | None = None,
    figures: Mapping[str, str] | None = None,
    generated: datetime | None = None,
) -> Path:
    """Write the report as one self-contained HTML file, atomically.

    Everything that comes from claims and verdicts is escaped; the page's own policy forbids network access and any
    script but its own. Same arguments, same bytes, up to `generated`.

    Args:
        verdicts: one per claim, in the order of the page.
        claims: id -> claim; a verdict whose claim is missing is shown without statement.
        out: the file to write; its folder is made if need be.
        evidence_links: claim id -> evidence files, relative to the folder of `out`; missing files are named as missing.
        figures: claim id -> PNG or SVG file, relative to the folder of `out`; embedded in the page.
        generated: the date shown; now if None.

    Returns:
        `out`.

    Raises:
        InputError: two verdicts for one claim, an absolute evidence path, or a figure that is no image file.
        StoreError: the file cannot be written.
    """
    repeated = [name for name, count in Counter(v.claim for v in verdicts).items() if count > 1]
    if repeated:
        raise InputError(f"one verdict per claim is wanted, got several for {repeated}; keep the newest of each")
    cards = _cards(verdicts, claims, out.parent, evidence_links or {}, figures or {})
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot make {out.parent} ({error.strerror}); give a writable folder with --out DIR"
        ) from None
    write_atomically(out, render(cards, generated or datetime.now(UTC)).encode())
    return out


def render(cards: Sequence[card.Card], generated: datetime) -> str:
    """The page as text."""
    environment = Environment(
        loader=PackageLoader("l2o_theory.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"short": numerals.short, "prose": wording.blocks, "pairs": wording.pairs, "marked": _marked}
    script = _own_file(environment, "script.js")
    verdicts = [c.verdict for c in cards]
    margins = [c.margin for c in cards if c.margin is not None]
    return environment.get_template("page.html").render(
        cards=cards,
        areas=_areas(cards),
        kinds=sorted({c.kind for c in cards if c.kind}),
        counts=[(status, sum(v.status is status for v in verdicts)) for status in Status],
        surprises=[c for c in cards if c.is_surprising],
        mutations=[m for v in verdicts for m in v.mutations],
        survivors=[(c, m) for c in cards for m in c.survivors],
        runs=_runs(verdicts),
        seconds=sum(float(v.run.get("seconds", 0)) for v in verdicts),
        generated=generated,
        ladder=list(Status),
        titles={c.id: c.title for c in cards},
        strip=lambda margin: plot.margin_strip(margin, margins),
        style=_own_file(environment, "style.css"),
        script=script,
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _marked(text: str) -> Markup:
    """Escape the text; what stands between backticks becomes code."""
    parts = text.split("`")
    return Markup("").join(Markup("<code>{}</code>").format(part) if n % 2 else part for n, part in enumerate(parts))


def _own_file(environment: Environment, name: str) -> Markup:
    """A style sheet or script of this package: trusted text, used as it is."""
    assert environment.loader is not None
    return Markup(environment.loader.get_source(environment, name)[0])


def _cards(
    verdicts: Sequence[Verdict],
    claims: Mapping[str, Claim],
    folder: Path,
    evidence: Mapping[str, Sequence[str]],
    figures: Mapping[str, str],
) -> list[card.Card]:
    relations = _relations([claims[v.claim] for v in verdicts if v.claim in claims])
    return [
        card.Card(
            verdict=verdict,
            claim=claims.get(verdict.claim),
            links=tuple(attachments.link(folder, path) for path in evidence.get(verdict.claim, ())),
            relations=relations.get(verdict.claim, {}),
            figure=attachments.embed(folder, figures[verdict.claim]) if verdict.claim in figures else "",
        )
        for verdict in verdicts
    ]


def _relations(claims: Sequence[Claim]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Claim id -> words -> related ids, in both directions; a claim recorded as false corrects nothing."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for claim in claims:
        if claim.corrects is None:
            continue
        is_false = claim.expected is Status.FALSIFIED
        forward, backward = ("True instead", "Not true") if is_false else ("Corrects", "Corrected by")
        for start, words, end in ((claim.id, forward, claim.corrects), (claim.corrects, backward, claim.id)):
            group = found.setdefault(start, {})
            group[words] = (*group.get(words, ()), end)
    return found


def _areas(cards: Iterable[card.Card]) -> list[str]:
    """Every prefix of an id that holds more than one claim, or is the area of one."""
    parts = [c.area.split("/") for c in cards if c.area]
    return sorted({"/".join(p[:n]) for p in parts for n in range(1, len(p) + 1)})


def _runs(verdicts: Iterable[Verdict]) -> dict[str, str]:
    """What produced the verdicts: each entry of their runs with all its values, seed and budget first."""
    found: dict[str, dict[Any, None]] = {"seed": {}, "budget": {}}
    for verdict in verdicts:
        for name, value in verdict.run.items():
            if name in found or name not in _NOT_VERSIONS:
                found.setdefault(name, {})[value] = None
    return {name: ", ".join(map(str, values)) for name, values in found.items() if values}
