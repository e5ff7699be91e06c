"""Execution: claims are checked in local worker processes that may crash, hang or be killed without harm to the rest."""
