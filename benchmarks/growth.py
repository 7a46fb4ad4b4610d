"""How time grows with the context: exponents fitted over n = 64 to 2,048, and their plot.

`python -m benchmarks.growth KIND N` prints one point as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from attnflow.files import write_whole
from benchmarks.measure import apart, timed
from benchmarks.rows import Row

PLOT = Path(__file__).parents[1] / "docs" / "growth.svg"
#: Seconds after which a point counts as not in time.
LIMIT = 240.0
#: What is scaled: layers, whether causal, threads.
KINDS = {
    "one target, 6 layers, bidirectional": (6, False, 1),
    "last token, 32 layers, causal": (32, True, 2),
}


def rows(quick: bool) -> Iterator[Row]:
    sizes = (64, 128, 256) if quick else (64, 128, 256, 512, 1024, 2048)
    curves = {}
    for name in KINDS:
        points: list[tuple[int, float]] = []
        for n in sizes:
            found = apart("benchmarks.growth", name, n, limit=LIMIT)
            if found is None:
                yield Row(f"synthetic, {name}", f"n={n:,}", None, "s", note=f"stopped after {LIMIT:.0f} s")
                break
            points.append((n, found["seconds"]))
            yield Row(f"synthetic, {name}", f"n={n:,}", found["seconds"], "s")
        curves[name] = points
        note = "" if len(points) == len(sizes) else f"over n = {points[0][0]} to {points[-1][0]} only"
        yield Row(f"synthetic, {name}", "fitted exponent of n", exponent(points), "", most=2.2, note=note)
    if not quick:
        write_whole(PLOT, plot(curves))


def exponent(points: list[tuple[int, float]]) -> float:
    """Slope of log time over log n, by least squares."""
    n, seconds = np.log(np.array(points)).T
    return float(np.polyfit(n, seconds, 1)[0])


def plot(curves: dict[str, list[tuple[int, float]]]) -> str:
    """An SVG readable on light and dark pages."""
    import io

    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "growth", "svg.fonttype": "none", "font.size": 10})
    from matplotlib import pyplot

    grey = "#808080"
    figure, axes = pyplot.subplots(figsize=(6.4, 4.0), layout="constrained")
    for (name, points), colour, marker in zip(curves.items(), ("#3b7dd8", "#d9822b"), "os"):
        n, seconds = zip(*points)
        label = f"{name}: n^{exponent(points):.2f}"
        axes.plot(n, seconds, marker=marker, color=colour, label=label)
    ends = np.array([64.0, 2048.0])
    first = min(points[0][1] for points in curves.values())
    axes.plot(ends, first * (ends / 64) ** 2, color=grey, linestyle=":", label="n^2, for comparison")
    axes.set(xscale="log", yscale="log", xlabel="tokens n", ylabel="seconds, all players of one target")
    axes.set_xticks([64, 128, 256, 512, 1024, 2048], ["64", "128", "256", "512", "1,024", "2,048"])
    axes.minorticks_off()
    axes.tick_params(colors=grey)
    axes.xaxis.label.set_color(grey)
    axes.yaxis.label.set_color(grey)
    for spine in axes.spines.values():
        spine.set_color(grey)
    axes.legend(frameon=False, labelcolor=grey)
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    pyplot.close(figure)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def one(name: str, n: int) -> dict[str, float]:
    from dataclasses import replace

    from attnflow import attribute
    from attnflow.maxflow.compilation import compile_kernels
    from benchmarks import attention

    layers, causal, threads = KINDS[name]
    network = (attention.decoder if causal else attention.encoder)(layers, n)
    compile_kernels()
    target = n - 1 if causal else n // 2

    def work() -> object:
        # a copy is lowered anew, as it would be for a caller's array
        return attribute(replace(network), method="flow", targets=[target], bounds=False, threads=threads)

    work()
    return {"seconds": timed(work, 5, 10, wall=threads > 1).least}


if __name__ == "__main__":
    print(json.dumps(one(sys.argv[1], int(sys.argv[2]))))
