"""Stored results: run keys, the SQLite ledger, and evidence files beside it.

Import from the modules: `recheck` needs the ledger and the evidence files, but nothing of what made them.
"""
