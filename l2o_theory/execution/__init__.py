"""Execution: claims are checked in worker processes that may crash, hang or be killed without harm to the rest."""
