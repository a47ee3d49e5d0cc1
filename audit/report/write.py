"""Reports in every format, for one run or for several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from audit.report.contents import Contents, read_contents
from audit.report.html import REPORT_FILE, render_report
from audit.report.pages import batch_blocks, render_batch, report_blocks
from audit.report.pdf import render_document
from audit.report.tables import render_json, write_tables
from audit.run import RunDirectory, write_atomically


def write_reports(
    runs: Sequence[RunDirectory], *, formats: Sequence[str], out: Path | None = None
) -> list[Path]:
    """Write the formats asked for and return the paths, in order.

    Args:
        runs: one, or several for a batch report.
        formats: of html, pdf, json, parquet, csv.
        out: folder to write to; None: the one run's own directory.

    Raises:
        InputError: a PDF is asked for and reportlab is missing.
        DiskFullError: no space; what was written before is still there.
    """
    contents = [read_contents(run.path) for run in runs]
    folder = runs[0].path if out is None else out
    written: list[Path] = []
    for name in dict.fromkeys(formats):
        if name in ("csv", "parquet"):
            written += write_tables(contents, folder / "tables", suffix=name)
            continue
        path = folder / (REPORT_FILE if name == "html" else f"report.{name}")
        write_atomically(path, _render(name, runs, contents))
        written.append(path)
    return written


def _render(name: str, runs: Sequence[RunDirectory], contents: Sequence[Contents]) -> bytes:
    if name == "html":
        text = render_report(runs[0]) if len(runs) == 1 else render_batch(contents)
        return text.encode()
    if name == "json":
        return render_json(contents).encode()
    if len(runs) == 1:
        return render_document(f"Audit report {contents[0].run_id}", report_blocks(contents[0]))
    return render_document(f"Batch report over {len(runs)} runs", batch_blocks(contents))
