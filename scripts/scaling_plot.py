"""The plot of bench_scaling.py: time and memory against pairs, log-log, as SVG.

Its colours are of middle brightness and its ground is clear, so that it reads on white and black.
"""

from math import ceil, floor, log10

INK, TIME, MEMORY = "#7d8590", "#2f81f7", "#d9742b"
WIDTH, HEIGHT, GAP = 320, 240, 90  # of a panel, and between the two
LEFT, RIGHT, TOP, BOTTOM = 60, 40, 40, 50


def draw(points: list[tuple[int, float, float]], a: float, b: float, start: int) -> str:
    """The plot of (pairs, seconds, MiB), with the line a + b * pairs from start on."""
    pairs = [n for n, _, _ in points]
    line = [(n, a + b * n) for n in pairs if n >= start]
    time = Panel(LEFT, TIME, pairs, [s for _, s, _ in points], "seconds, line fitted")
    memory = Panel(LEFT + WIDTH + GAP, MEMORY, pairs, [m for _, _, m in points], "peak memory, MiB")
    parts = time.axes() + time.path(line) + time.dots() + memory.axes() + memory.dots()
    width, height = LEFT + 2 * WIDTH + GAP + RIGHT, TOP + HEIGHT + BOTTOM
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" font-family="sans-serif" font-size="13" '
            f'fill="{INK}">\n'
            "<title>ortscore nll: seconds and peak memory against query-passage pairs</title>\n"
            + "\n".join(parts) + "\n</svg>\n")


class Panel:
    """One plot with its left edge at x; both axes end at whole decades."""

    def __init__(self, x: int, colour: str, xs: list[int], ys: list[float], title: str):
        self.x, self.colour, self.xs, self.ys, self.title = x, colour, xs, ys, title
        self.x_decades, self.y_decades = decades(xs), decades(ys)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The place of a value in the picture."""
        return (self.x + WIDTH * share(x, self.x_decades),
                TOP + HEIGHT * (1 - share(y, self.y_decades)))

    def axes(self) -> list[str]:
        parts = [f'<text x="{self.x}" y="{TOP - 16}" font-weight="bold" '
                 f'fill="{self.colour}">{self.title}</text>',
                 f'<text x="{self.x + WIDTH / 2}" y="{TOP + HEIGHT + 40}" '
                 'text-anchor="middle">query-passage pairs</text>']
        for power in range(self.x_decades[0], self.x_decades[1] + 1):
            x, bottom = self.at(10.0 ** power, 10.0 ** self.y_decades[0])
            parts += [grid(x, TOP, x, bottom), f'<text x="{x:.1f}" y="{bottom + 18:.1f}" '
                      f'text-anchor="middle">{10 ** power:,}</text>']
        for power in range(self.y_decades[0], self.y_decades[1] + 1):
            left, y = self.at(10.0 ** self.x_decades[0], 10.0 ** power)
            parts += [grid(left, y, left + WIDTH, y), f'<text x="{left - 8:.1f}" y="{y + 4:.1f}" '
                      f'text-anchor="end">{10.0 ** power:,.{max(0, -power)}f}</text>']
        return parts

    def path(self, line: list[tuple[float, float]]) -> list[str]:
        places = " ".join(f"{x:.1f},{y:.1f}" for x, y in (self.at(*p) for p in line))
        return [f'<polyline points="{places}" fill="none" stroke="{self.colour}" '
                'stroke-width="1.5"/>']

    def dots(self) -> list[str]:
        places = [self.at(*p) for p in zip(self.xs, self.ys, strict=True)]
        return [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{self.colour}"/>'
                for x, y in places]


def grid(x1: float, y1: float, x2: float, y2: float) -> str:
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{INK}" '
            'stroke-opacity="0.35"/>')


def decades(values: list[float]) -> tuple[int, int]:
    return floor(log10(min(values))), ceil(log10(max(values)))


def share(value: float, ends: tuple[int, int]) -> float:
    return (log10(value) - ends[0]) / (ends[1] - ends[0])
