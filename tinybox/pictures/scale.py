"""Scales: where on the paper a number lies, and which round numbers are written beside the axis."""

from __future__ import annotations

import math

LEAST = 1e-18  # a smaller number counts as 0, which has no place on a scale of powers of ten


class Scale:
    """Maps numbers between *low* and *high* to places between *start* and *end*, by equal steps or by powers of ten."""

    def __init__(
        self, numbers: list[float], start: float, end: float, *, logarithmic: bool = False, tight: bool = False
    ) -> None:
        """Choose the ends: round numbers around *numbers*, or (*tight*) the last number itself."""
        self.start, self.end = start, end
        positive = [number for number in numbers if number > LEAST]
        self.logarithmic = logarithmic and bool(positive)
        if self.logarithmic:
            self.low = 10.0 ** math.floor(math.log10(min(positive)))
            self.high = max(10.0 ** math.ceil(math.log10(max(positive)) - 1e-9), self.low * 10)
            self.ticks = _powers(self.low, self.high)
            self.high = max(positive) if tight and max(positive) > self.low else self.high
        else:
            self.low, top = min([0.0, *numbers]), max([0.0, *numbers])
            step = _step(top - self.low if top - self.low > LEAST else 1.0)
            self.low = math.floor(self.low / step) * step
            self.high = max(math.ceil(top / step - 1e-9) * step, self.low + step)
            self.ticks = [self.low + step * count for count in range(round((self.high - self.low) / step) + 1)]
            self.high = top if tight and top > self.low else self.high
        self.ticks = [tick for tick in self.ticks if tick <= self.high * 1.000001]

    def place(self, number: float) -> float:
        """Return the place of a number; one outside of the scale lies at its edge."""
        bounded = min(max(number, self.low), self.high)
        if self.logarithmic:
            part = math.log10(bounded / self.low) / math.log10(self.high / self.low)
        else:
            part = (bounded - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)


def _step(span: float) -> float:
    """Return the distance of ticks: 1, 2 or 5 times a power of ten, so that there are four to seven."""
    rough = span / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)


def _powers(low: float, high: float) -> list[float]:
    count = round(math.log10(high / low))
    if count <= 2:  # a few powers only: the numbers between them are written, too
        return [*(low * 10.0**power * factor for power in range(count) for factor in (1, 2, 5)), high]
    return [low * 10.0**power for power in range(0, count + 1, 1 + count // 7)]


def written(number: float) -> str:
    """Return a number for a reader: at most three digits after the point, and groups of three before it."""
    if number and abs(number) < 0.001:
        return f"{number:.1e}"
    digits = 0 if abs(number) >= 100 or float(number).is_integer() else 1 if abs(number) >= 10 else 3
    whole, _, rest = f"{number:,.{digits}f}".replace(",", " ").partition(".")
    return f"{whole}.{rest}".rstrip("0").rstrip(".") if rest else whole
