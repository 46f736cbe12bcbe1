"""Markdown as a page that a browser shows without a network."""

from __future__ import annotations

from markdown_it import MarkdownIt

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;color:#222;max-width:72rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}"
    "th,td{border-bottom:1px solid #ddd;padding:.2rem .7rem}th{border-bottom:2px solid #888;text-align:left}"
    "code{background:#f2f2f2;padding:0 .2rem}"
)


def html(title: str, markdown: str) -> str:
    """A whole HTML page; tables are rendered, raw HTML in the text is not."""
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    head = f'<meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>\n'
