"""Campaigns: long searches in rounds, each starting from the closest calls so far; killed ones continue."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from l2o_theory.errors import InputError, L2OTheoryError, StoreError
from l2o_theory.rigor.statement import Instance, Statement, from_json, to_json
from l2o_theory.search.confirm import Counterexample, certify
from l2o_theory.search.files import read_json, write_json
from l2o_theory.search.hunt import Budget, Hunt, hunt
from l2o_theory.search.scout import KEPT

FORMAT = 1
"""Format number of campaign files."""


@dataclass(frozen=True)
class CampaignState:
    """What a campaign knows after a number of rounds.

    Attributes:
        rounds: rounds done.
        examples_run: points evaluated in all of them.
        smallest_margin: over all rounds; nan if nothing was admissible.
        float_only_violations: over all rounds.
        corpus: instances of the smallest margins, the smallest first: the next round's first examples.
        counterexample: found and confirmed, which ends the campaign.
    """

    rounds: int = 0
    examples_run: int = 0
    smallest_margin: float = math.nan
    float_only_violations: int = 0
    corpus: tuple[Instance, ...] = ()
    counterexample: Counterexample | None = None


@dataclass(frozen=True)
class Campaign:
    """A long search for a counterexample, saved after every round.

    Attributes:
        statement: to be refuted.
        path: the file that holds the state; a campaign found there is continued.
        seed: round k hunts with a seed derived from this one and k, so that interruptions leave no trace.
        budget: of one round.

    Raises:
        StoreError: on `run`, if the file is unreadable, newer, or belongs to another statement, seed or budget.
    """

    statement: Statement
    path: Path
    seed: int
    budget: Budget

    def run(
        self,
        *,
        rounds: int | None = None,
        seconds: float | None = None,
        progress: Callable[[CampaignState], None] | None = None,
    ) -> CampaignState:
        """Do rounds until a counterexample is confirmed, `rounds` are done in total, or `seconds` have passed.

        Args:
            rounds: total number of rounds, those of earlier runs included.
            seconds: of this run; checked between rounds.
            progress: called after every round.
        """
        if rounds is None and seconds is None:
            raise InputError("a campaign needs a number of rounds or of seconds, got neither; give one")
        deadline = math.inf if seconds is None else time.monotonic() + seconds
        state = self.state()
        while (
            state.counterexample is None and (rounds is None or state.rounds < rounds) and time.monotonic() < deadline
        ):
            state = self._after(state, self._round(state))
            write_json(self.path, self._as_json(state))
            if progress:
                progress(state)
        return state

    def state(self) -> CampaignState:
        """The saved state; a fresh one if there is no file yet.

        Raises:
            StoreError: unreadable, newer, or of another statement, seed or budget.
        """
        if not self.path.exists():
            return CampaignState()
        data = read_json(self.path, newest=FORMAT, what="campaign file")
        if data.get("of") != self._fingerprint():
            raise StoreError(
                f"{self.path} belongs to another statement, seed or budget; delete it, or choose another file"
            )
        try:
            state = CampaignState(
                rounds=int(data["rounds"]),
                examples_run=int(data["examples_run"]),
                smallest_margin=math.nan if data["smallest_margin"] is None else float(data["smallest_margin"]),
                float_only_violations=int(data["float_only_violations"]),
                corpus=tuple(from_json(entry) for entry in data["corpus"]),
            )
            found = data["counterexample"]
            if found is None:
                return state
            confirmed = certify(self.statement, from_json(found))
        except (KeyError, TypeError, ValueError, AttributeError, L2OTheoryError) as error:
            raise StoreError(f"{self.path} is damaged ({error}); delete it to start over") from None
        if confirmed is None:
            raise StoreError(f"{self.path} holds a counterexample that is none; it was edited: delete it to start over")
        return replace(state, counterexample=confirmed)

    def _round(self, state: CampaignState) -> Hunt:
        seed = int.from_bytes(hashlib.sha256(f"{self.seed}/{state.rounds}".encode()).digest()[:6], "big")
        return hunt(self.statement, seed=seed, budget=self.budget, examples=state.corpus)

    def _after(self, state: CampaignState, found: Hunt) -> CampaignState:
        margins = [m for m in (state.smallest_margin, found.smallest_margin) if not math.isnan(m)]
        return CampaignState(
            rounds=state.rounds + 1,
            examples_run=state.examples_run + found.examples_run,
            smallest_margin=min(margins, default=math.nan),
            float_only_violations=state.float_only_violations + found.float_only_violations,
            corpus=found.closest[:KEPT],
            counterexample=found.counterexample,
        )

    def _as_json(self, state: CampaignState) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "of": self._fingerprint(),
            "rounds": state.rounds,
            "examples_run": state.examples_run,
            "smallest_margin": None if math.isnan(state.smallest_margin) else state.smallest_margin,
            "float_only_violations": state.float_only_violations,
            "corpus": [to_json(instance) for instance in state.corpus],
            "counterexample": None if state.counterexample is None else to_json(state.counterexample.instance),
        }

    def _fingerprint(self) -> str:
        statement = self.statement
        parts: Mapping[str, Any] = {
            "parameters": [repr(p) for p in statement.parameters],
            "definitions": dict(statement.definitions),
            "hypotheses": dict(statement.hypotheses),
            "conclusion": statement.conclusion,
            "seed": self.seed,
            "budget": repr(self.budget),
        }
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
