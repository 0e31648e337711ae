"""The risk report as a page: self-contained HTML with plots, in Chinese or English."""

from positions.reports.page import render

__all__ = ["render"]
