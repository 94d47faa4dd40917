"""Exports of everybody's lists: what may be asked of one, and those that stand for every morning."""

from data_contracts.exports.model import ExportTerms, StandingExport, standing_exports

__all__ = ["ExportTerms", "StandingExport", "standing_exports"]
