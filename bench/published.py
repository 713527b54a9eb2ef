"""A figure as a paper states it, beside the same of our simulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median

from headway.lab.report.figures import figures
from headway.lab.report.terminal import Results, show, table_console


@dataclass(frozen=True)
class Figure:
    """One number of a paper; ours is the median over seeds."""

    setting: str
    name: str
    theirs: tuple[float, ...]
    """One value, or the least and the most; empty: not published."""
    ours: tuple[float, ...]
    """One value a seed."""

    @property
    def median(self) -> float:
        """Ours."""
        return median(self.ours)

    @property
    def off(self) -> float:
        """How far ours is from theirs, as a share of theirs; 0 within their range."""
        least, most = min(self.theirs), max(self.theirs)
        return max(0.0, self.median / most - 1.0, 1.0 - self.median / least)

    def to_json(self) -> dict[str, object]:
        """For the results file."""
        return asdict(self) | {"median": self.median}


def show_figures(title: str, found: Sequence[Figure]) -> None:
    """Print a table: theirs, ours with its spread, and how far off."""
    rows = [
        [
            f"{figure.setting}: {figure.name}",
            " to ".join(map(figures, figure.theirs)) or "-",
            figures(figure.median),
            f"{figures(min(figure.ours))} to {figures(max(figure.ours))}",
            f"{figure.off:.0%}" if figure.theirs else "-",
        ]
        for figure in found
    ]
    show(table_console(), Results([title, "theirs", "ours", "over seeds", "off"], rows))
