"""One self-contained HTML page that says what an analysis found, from what, and how to redo it.

The page needs no network and no JavaScript (a few inlined lines let tables be sorted); its content
security policy forbids everything else. The same analysis gives the same bytes.
"""

from landscape.output.report.page import render_report, write_report

__all__ = ["render_report", "write_report"]
