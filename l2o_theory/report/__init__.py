"""The report: one self-contained web page with every verdict and what it rests on."""

from l2o_theory.report.page import write_report as write_report

__all__ = ["write_report"]
