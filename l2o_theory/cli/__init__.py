"""Command line: one file per verb; what a verb needs is imported when it runs, so that `--help` is instant."""
