#!/usr/bin/env python3
"""Draws what a bench measured as SVG.

    tools/bazel run -c opt //bench:sizes -- --format=json > sizes.json
    tools/plot_bench.py sizes.json sizes.svg

Takes the JSON of any bench: curves for sizes and rss, a dot an allocator for compare, bars for the
others. Needs matplotlib (Debian: python3-matplotlib); the benches don't.
"""

import io
import json
import math
import statistics
import sys

# Told apart by those who do not see all colours (Okabe and Ito); hakmem stands out.
COLORS = {
    "hakmem": "#000000",
    "system": "#999999",
    "jemalloc": "#d55e00",
    "mimalloc": "#0072b2",
    "mimalloc3": "#56b4e9",
    "tcmalloc": "#009e73",
}
OTHER_COLORS = ["#cc79a7", "#e69f00", "#b2a600", "#7f3c8d"]
# Matplotlib draws letters; as text they stay small, and can be searched.
SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "hakmem", "font.size": 9}
UNITS = [(1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")]


def color_of(name, names):
    others = [other for other in names if other not in COLORS]
    return COLORS.get(name) or OTHER_COLORS[others.index(name) % len(OTHER_COLORS)]


def size_name(size):
    unit, name = next((unit, name) for unit, name in UNITS if size >= unit)
    return f"{size / unit:g} {name}"


def median_of(result, value):
    """The median over the rounds of a child's value; 0 when it has none."""
    return statistics.median(one.get(value, 0) for one in result["rounds"])


def sweep_of(result, prefix):
    """(size, ns) of every figure PREFIX_SIZE of a result of sizes, ascending."""
    names = [name for name in result["rounds"][0] if name.startswith(prefix + "_")]
    return sorted((int(name.rsplit("_", 1)[1]), median_of(result, name)) for name in names)


def curve_of(result):
    """(seconds, MB) of every sample of a result of rss, and of its moments. Of the first round:
    samples of several are not taken at the same times."""
    values = result["rounds"][0]
    samples = sorted((int(name.rsplit("_", 1)[1]) / 1e3, mb) for name, mb in values.items()
                     if name.startswith("sample_"))
    moments = sorted((ms / 1e3, values["moment_" + name[len("at_"):]])
                     for name, ms in values.items() if name.startswith("at_"))
    return samples, moments


def bars_of(case):
    """(allocator, median, least, most) of a case's ns a pair."""
    return [(result["allocator"], *(result["ns_per_pair"][key] for key in ["median", "min", "max"]))
            for result in case["results"]]


def counts_of(case, value, divisor):
    """The same of a child's value."""
    rows = []
    for result in case["results"]:
        values = [one.get(value, 0) / divisor for one in result["rounds"]]
        rows.append((result["allocator"], statistics.median(values), min(values), max(values)))
    return rows


def draw_sweep(report, figure):
    case = report["cases"][0]
    names = [result["allocator"] for result in case["results"]]
    axes = figure.subplots(2, 1, sharex=True)
    for axis, prefix, title in [(axes[0], "lifo", "one block at a time"),
                                (axes[1], "batch", "16 blocks at a time")]:
        for result in case["results"]:
            name = result["allocator"]
            points = sweep_of(result, prefix)
            axis.plot([size for size, _ in points], [ns for _, ns in points], label=name,
                      color=color_of(name, names), linewidth=2.2 if name == "hakmem" else 1.2)
        axis.set_xscale("log", base=2)
        axis.set_yscale("log")
        axis.set_title(title, loc="left")
        axis.set_ylabel("ns a pair of malloc and free")
    sizes = [size for size, _ in sweep_of(case["results"][0], "lifo")]
    ticks = [size for size in sizes if math.log2(size) % 3 == 1]
    axes[1].set_xticks(ticks)
    axes[1].set_xticklabels([size_name(size) for size in ticks])
    axes[0].legend(ncol=3, frameon=False)


def draw_lives(report, figure):
    cases = report["cases"]
    axes = figure.subplots(len(cases), 1, squeeze=False)[:, 0]
    for axis, case in zip(axes, cases):
        names = [result["allocator"] for result in case["results"]]
        for result in case["results"]:
            name = result["allocator"]
            samples, moments = curve_of(result)
            color = color_of(name, names)
            axis.plot([at for at, _ in samples], [mb for _, mb in samples], label=name, color=color,
                      linewidth=2.2 if name == "hakmem" else 1.2)
            axis.plot([at for at, _ in moments], [mb for _, mb in moments], ".", color=color)
        axis.set_title(case["title"], loc="left")
        axis.set_ylabel("resident MB")
        axis.set_ylim(bottom=0)
    axes[-1].set_xlabel("seconds; a dot is a moment of the table")
    axes[0].legend(ncol=3, frameon=False)


def draw_bars(axis, title, quantity, rows):
    names = [name for name, *_ in rows]
    places = list(range(len(rows)))[::-1]
    values = [value for _, value, _, _ in rows]
    spread = [[value - least for _, value, least, _ in rows],
              [most - value for _, value, _, most in rows]]
    axis.barh(places, values, xerr=spread, color=[color_of(name, names) for name in names],
              error_kw={"elinewidth": 0.8, "ecolor": "#555555"})
    axis.set_yticks(places)
    axis.set_yticklabels(names)
    axis.set_xlabel(quantity)
    axis.set_title(title, loc="left")


def draw_tables(report, figure):
    unit = {"realloc": "realloc", "fresh": "block"}.get(report["bench"], "pair")
    cases = report["cases"]
    columns = 2 if len(cases) > 1 else 1
    axes = figure.subplots((len(cases) + columns - 1) // columns, columns, squeeze=False).ravel()
    for axis, case in zip(axes, cases):
        draw_bars(axis, case["title"], f"ns a {unit}", bars_of(case))
    for axis in axes[len(cases):]:
        axis.set_visible(False)


def draw_profile(report, figure):
    cases = report["cases"]
    axes = figure.subplots(len(cases), 3, squeeze=False, sharey="row")
    for row, case in zip(axes, cases):
        draw_bars(row[0], case["title"], "ns a pair", bars_of(case))
        draw_bars(row[1], "", "page faults", counts_of(case, "faults", 1))
        draw_bars(row[2], "", "ms before the first step", counts_of(case, "start_us", 1e3))


def dots_of(rows):
    """(title with its mark, [(allocator, times the best of the row)]) of rows of compare."""
    out = []
    for row in rows:
        best = min(row["values"].values())
        dots = [(name, value / best) for name, value in row["values"].items()]
        out.append((row["title"] + row["mark"].strip(), dots))
    return out


def draw_dots(axis, quantity, rows):
    names = list(rows[0]["values"]) if rows else []
    for place, (_, dots) in enumerate(dots_of(rows)):
        axis.axhline(place, color="#eeeeee", linewidth=0.8, zorder=0)
        # The subject last: it lies above the others.
        for name, times in reversed(dots):
            axis.plot(times, place, "o", color=color_of(name, names),
                      markersize=6 if name == "hakmem" else 4)
    axis.set_yticks(range(len(rows)))
    axis.set_yticklabels([title for title, _ in dots_of(rows)], fontsize=7)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xscale("log", base=2)
    axis.set_xlabel("times the best of the row")
    axis.set_title(quantity, loc="left")


def draw_comparison(report, figure):
    compared = report["compare"]
    rows = {quantity: compared[quantity]["rows"] for quantity in ["time", "memory"]}
    axes = figure.subplots(2, 1, height_ratios=[max(len(rows["time"]), 1),
                                                max(len(rows["memory"]), 1)])
    titles = {"time": "processor's time", "memory": "most resident, of lives the average"}
    for axis, quantity in zip(axes, rows):
        mean = compared[quantity]["geometric_mean"]
        draw_dots(axis, f"{titles[quantity]}; best peer over hakmem: {mean:.2f}", rows[quantity])
        ticks = [tick for tick in [1, 2, 4, 8, 16, 32, 64] if tick <= axis.get_xlim()[1]]
        axis.set_xticks(ticks, [f"{tick}" for tick in ticks])
    names = [result["allocator"] for result in report["cases"][0]["results"]]
    handles = [axes[0].plot([], [], "o", color=color_of(name, names), label=name)[0]
               for name in names]
    axes[0].legend(handles=handles, ncol=1, frameon=False, loc="upper right")


def height_of(report):
    """Inches that the picture needs."""
    if report["bench"] == "compare":
        compared = report["compare"]
        return 2 + 0.16 * sum(len(compared[key]["rows"]) for key in ["time", "memory"])
    if report["bench"] in {"sizes", "rss"}:
        return 8
    rows = len(report["cases"]) if report["bench"] == "profile" else (len(report["cases"]) + 1) // 2
    return max(3.0, rows * (1 + 0.22 * len(report["cases"][0]["results"])))


def draw(report, out):
    import matplotlib  # pylint: disable=import-outside-toplevel
    matplotlib.use("svg")
    matplotlib.rcParams.update(SETTINGS)
    from matplotlib.figure import Figure  # pylint: disable=import-outside-toplevel
    figure = Figure(figsize=(9, height_of(report)), constrained_layout=True)
    drawers = {"sizes": draw_sweep, "rss": draw_lives, "profile": draw_profile,
               "compare": draw_comparison}
    drawers.get(report["bench"], draw_tables)(report, figure)
    machine = report["machine"]
    figure.suptitle(f'{report["bench"]}: {machine["cpu"]}, {machine["cores"]:g} cores, '
                    f'Linux {machine["kernel"]}, THP {machine["thp"]}', fontsize=9)
    text = io.StringIO()
    # Without the date, the same figures are the same file.
    figure.savefig(text, format="svg", metadata={"Date": None})
    with open(out, "w", encoding="utf-8") as file:
        file.writelines(line.rstrip() + "\n" for line in text.getvalue().splitlines())


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    with open(sys.argv[1], encoding="utf-8") as file:
        report = json.load(file)
    try:
        draw(report, sys.argv[2])
    except ModuleNotFoundError as error:
        sys.exit(f"tools/plot_bench.py: {error}; Debian's package python3-matplotlib has it")
    print(f'{sys.argv[2]}: {len(report["cases"])} cases of {report["bench"]}')


if __name__ == "__main__":
    main()
