"""The plots of the report as SVG. Words stay text elements, so that the reader's own fonts write them."""

from __future__ import annotations

import importlib
import io
import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "smartex",  # the same report gives the same bytes
    "font.family": "sans-serif",
    "font.sans-serif": ["Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", "DejaVu Sans"],
    "axes.unicode_minus": False,
    "text.parse_math": False,  # names come from callers: `$$` is a name, not a formula
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9aa3ad",
    "axes.labelcolor": "#4a5560",
    "xtick.color": "#4a5560",
    "ytick.color": "#4a5560",
    "grid.color": "#e6e9ed",
}
_BLUE, _GREY = "#2f6db5", "#8a94a0"
_BINS = 41
_MOST_BARS = 12
_FONTS = "'Noto Sans CJK SC','Noto Sans SC','PingFang SC','Microsoft YaHei','Segoe UI',Arial,sans-serif"


@dataclass(frozen=True)
class Colours:
    """Of gains and losses: in China red is up, elsewhere green."""

    gain: str
    loss: str


def colours(language: str) -> Colours:
    """The colours that a language's readers expect."""
    red, green = "#c8322b", "#1f8a4c"
    return Colours(red, green) if language == "zh-CN" else Colours(green, red)


def curve(days: Sequence[Any], growth: Sequence[float], labels: tuple[str, str], tones: Colours) -> str:
    """Growth of one unit of money above, drawdown below."""
    levels = np.asarray(growth)
    falls = levels / np.maximum.accumulate(levels) - 1.0

    def draw(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
        upper.plot(days, levels, color=_BLUE, linewidth=1.6)
        upper.set_ylabel(labels[0])
        lower.fill_between(days, 100 * falls, 0, color=tones.loss, alpha=0.35, linewidth=0)
        lower.set_ylabel(f"{labels[1]} %")
        for axes in (upper, lower):
            axes.grid(True, axis="y")
        figure.autofmt_xdate(rotation=0, ha="center")

    return _svg(draw, (7.2, 3.6))


def weights(names: Sequence[str], shares: Sequence[float]) -> str:
    """Weight of each holding, largest on top."""
    return _svg(
        lambda figure: _bars(figure.subplots(), names, 100 * np.asarray(shares), _BLUE, "{:.1f}%"),
        _tall(names),
    )


def components(names: Sequence[str], shares: Sequence[float], tones: Colours) -> str:
    """Part of each holding in the value at risk; one that hedges goes the other way."""
    values = 100 * np.asarray(shares)
    tint = [tones.loss if value > 0 else tones.gain for value in values]
    return _svg(lambda figure: _bars(figure.subplots(), names, values, tint, "{:.1f}%"), _tall(names))


def stresses(names: Sequence[str], shares: Sequence[float], tones: Colours) -> str:
    """Change of the equity in each scenario."""
    values = 100 * np.asarray(shares)
    tint = [tones.loss if value < 0 else tones.gain for value in values]
    return _svg(lambda figure: _bars(figure.subplots(), names, values, tint, "{:+.1f}%"), _tall(names))


def histogram(gains: Sequence[float], lines: Sequence[tuple[str, float]], tones: Colours) -> str:
    """Daily gains as shares of equity, with a line at each value at risk."""
    values = 100 * np.asarray(gains)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.hist(values, bins=_BINS, color=_BLUE, alpha=0.75)
        for at, (name, loss) in enumerate(lines):
            axes.axvline(-100 * loss, color=tones.loss, linestyle="--" if at else "-", linewidth=1.4)
            axes.annotate(
                f"{name} −{100 * loss:.1f}%",
                (-100 * loss, 0.97 - 0.09 * at),
                xycoords=("data", "axes fraction"),
                xytext=(4, 0),
                textcoords="offset points",
                va="top",
                color=tones.loss,
                fontsize=9,
            )
        axes.set_xlabel("%")
        axes.grid(True, axis="y")

    return _svg(draw, (7.2, 2.8))


def _bars(axes: Axes, names: Sequence[str], values: Any, tint: Any, label: str) -> None:
    shown = slice(0, _MOST_BARS)
    bars = axes.barh(list(names[shown])[::-1], values[shown][::-1], color=_reversed(tint, shown), height=0.62)
    axes.bar_label(
        bars, [label.format(value) for value in values[shown][::-1]], padding=4, color="#4a5560", fontsize=9
    )
    axes.axvline(0, color=_GREY, linewidth=0.8)
    axes.margins(x=0.18)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)


def load_ahead() -> None:
    """Import now what the first report would wait for."""
    importlib.import_module("matplotlib.backends.backend_svg")


def _reversed(tint: Any, shown: slice) -> Any:
    return tint if isinstance(tint, str) else list(tint[shown])[::-1]


def _tall(names: Sequence[str]) -> tuple[float, float]:
    return 7.2, 0.7 + 0.34 * min(len(names), _MOST_BARS)


def _svg(draw: Callable[[Figure], None], size: tuple[float, float]) -> str:
    """The drawing as an `<svg>` element that fits its place on the page."""
    # Not at the top: it would hold up every start by a second. See `load_ahead`.
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    # The reader's fonts write the words: whether this machine's have them is no matter.
    warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure)
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    start = text.index("<svg")
    return text[start:].replace("<svg ", f'<svg role="img" style="font-family:{_FONTS}" ', 1)
