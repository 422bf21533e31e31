"""Timing two or more sides of one workload against each other."""

import gc
import statistics
import time

import numpy as np


def interleaved(sides, seconds, warm_up=3):
    """{side: {"ms": median, "fastest_ms", "ratio": median of side / eager, "ratio_quartiles"}} of steps in turn.

    In each round each side does a run of steps, at least one and about 20 ms of them, after a pause in which the
    other side's idle threads stop spinning; the first step of a run is not counted where there are several.
    The ratios are of the runs of one round, so that what else the machine does strikes both sides.
    """
    first = {name: step() for name, step in sides.items()}
    ours = next(iter(first.values()))
    if not all(np.isclose(value, ours, rtol=1e-4, atol=1e-6) for value in first.values()):
        raise AssertionError(f"the sides do not compute the same: {first}")
    counts = {}
    for name, step in sides.items():
        for _ in range(warm_up):
            step()
        begin = time.perf_counter()
        step()
        counts[name] = max(1, round(0.02 / (time.perf_counter() - begin)))
    gc.collect()
    gc.freeze()  # else Python's collector walks all the objects of both libraries again and again
    times = {name: [] for name in sides}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times["ours"]) < 5:
        for name, step in sides.items():
            time.sleep(0.005)
            run = []
            for _ in range(counts[name]):
                begin = time.perf_counter()
                step()
                run.append(time.perf_counter() - begin)
            times[name].append(statistics.median(run[1:] or run))
    rows = {}
    for name, runs in times.items():
        rows[name] = {"ms": 1e3 * statistics.median(runs), "fastest_ms": 1e3 * min(runs)}
        if "eager" in times:
            ratios = [mine / other for mine, other in zip(runs, times["eager"], strict=True)]
            low, middle, high = np.percentile(ratios, [25, 50, 75]).tolist()
            rows[name] |= {"ratio": middle, "ratio_quartiles": [low, high]}
    return rows
