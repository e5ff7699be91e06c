"""Rigour: the statement language, the trusted kernel, and the finders of certificates that need not be trusted."""
