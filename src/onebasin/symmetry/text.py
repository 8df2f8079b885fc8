"""Tables of groups as text."""

from __future__ import annotations

from collections.abc import Sequence


def listed(places: Sequence[tuple[str, int]], limit: int | None) -> str:
    """Write axes of tensors one after another, so many at most."""
    shown = places if limit is None or len(places) <= limit else places[:limit]
    more = f" and {len(places) - len(shown)} more" if len(shown) < len(places) else ""
    return ", ".join(f"{key}[{axis}]" for key, axis in shown) + more


def columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write rows below a header, every column but the last aligned."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)][:-1]
    numbers = [all(row[column].isdigit() for row in rows) for column in range(len(widths))]
    return "\n".join(
        "  ".join(
            [
                cell.rjust(width) if number else cell.ljust(width)
                for cell, width, number in zip(row[:-1], widths, numbers, strict=True)
            ]
            + [row[-1]]
        )
        for row in [header, *rows]
    )
