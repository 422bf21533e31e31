"""The benchmarks: `python3 run.py bench [W6 W11 … start recorder pictures] [--variants] [--seconds 6]`.

Times training steps of this library and of PyTorch in turn, in one process for each workload, then how a process
starts and how much memory it takes, what `viz.record` adds to a step, and what pictures of large graphs take. Prints
tables and writes `results.json`.
"""

import argparse
import json
import math
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

TARGETS = {"W1": 0.35, "W2": 0.6, "W3": 0.6, "W4": 0.45, "W5": 0.5, "W6": 0.75, "W7a": 0.8, "W7b": 0.8, "W8": 0.7,
           "W9": 0.6, "W10": 0.5, "W11": 0.5, "W12": 0.25}  # fmt: skip  # of eager PyTorch's time
ALONE = {"recorder", "pictures"}  # need no PyTorch beside them


def cpu_name():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        import platform

        return platform.processor() or platform.machine()


def arguments():
    parser = argparse.ArgumentParser("run.py bench", description=__doc__.partition("\n\n")[2])
    parser.add_argument("names", nargs="*", help="W1 to W12, `start`, `recorder` or `pictures`; all by default")
    parser.add_argument("--seconds", type=float, default=6, help="how long each workload is timed")
    parser.add_argument("--variants", action="store_true", help="PyTorch's faster ways too: compiled, fused, …")
    parser.add_argument("--output", default=str(pathlib.Path(__file__).with_name("results.json")))
    parser.add_argument("--one", help=argparse.SUPPRESS)  # a workload's name: time it in this process
    return parser.parse_args()


def in_its_own_process(name, options):
    """A workload's rows, timed in a fresh process, where no other workload's threads and buffers are about."""
    command = [sys.executable, __file__, "--one", name, f"--seconds={options.seconds}"]
    done = subprocess.run(command + ["--variants"] * options.variants, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        return None
    return json.loads(done.stdout.splitlines()[-1])


def wanted(name, names):
    return not names or any(name.split()[0].rstrip("ab") == n.upper() or name.split()[0] == n for n in names)


def steps(options, results):
    """Print the table of the workloads, note it in `results`, and return the names of those that failed."""
    from benchmarks.workloads import COMPILED, WORKLOADS

    print()
    print("| workload | torch eager, ms | ours / eager (quartiles) | with `tg.compile` | to reach | torch's best |")
    print("|---|---|---|---|---|---|")
    failed, logs = [], []
    for name in WORKLOADS:
        if not wanted(name, options.names):
            continue
        rows = in_its_own_process(name, options)
        if rows is None:
            failed.append(name)
            continue
        results["steps"][name] = rows
        ours = rows["ours"]
        compiled = rows.get(COMPILED)
        others = {side: row["ratio"] for side, row in rows.items() if side not in ("ours", COMPILED, "eager")}
        best = min(others, key=others.get, default=None)
        low, high = ours["ratio_quartiles"]
        weight = 0.5 if name.startswith("W7") else 1.0
        logs.append((weight, math.log(ours["ratio"]), math.log((compiled or ours)["ratio"])))
        columns = [
            name, f"{rows['eager']['ms']:.3g}", f"**{ours['ratio']:.2f}** ({low:.2f}-{high:.2f})",
            f"**{compiled['ratio']:.2f}**" if compiled else "–", TARGETS[name.split()[0]],
            f"{others[best]:.2f} {best}" if best else "–",
        ]  # fmt: skip
        print("| " + " | ".join(map(str, columns)) + " |", flush=True)
    if logs:
        weights = sum(weight for weight, _, _ in logs)
        results["geometric_mean"] = math.exp(sum(w * eager for w, eager, _ in logs) / weights)
        results["geometric_mean_compiled"] = math.exp(sum(w * compiled for w, _, compiled in logs) / weights)
        print(f"\nGeometric mean of {len(logs)} workloads: {results['geometric_mean']:.3f}; with `tg.compile` where "
              f"it is timed: {results['geometric_mean_compiled']:.3f}")  # fmt: skip
    return failed


def main():
    options = arguments()
    if options.one:
        from benchmarks.measure import interleaved
        from benchmarks.workloads import WORKLOADS

        print(json.dumps(interleaved(WORKLOADS[options.one](options.variants), options.seconds)))
        return 0
    beside_torch = not options.names or not ALONE.issuperset(options.names)
    if beside_torch:
        import torch
    results = {
        "date": time.strftime("%Y-%m-%d"), "cpu": cpu_name(), "threads": os.cpu_count(),
        "torch": torch.__version__ if beside_torch else None,
        "OPENBLAS_CORETYPE": os.environ.get("OPENBLAS_CORETYPE"), "steps": {},
    }  # fmt: skip
    print(f"{results['cpu']}, {results['threads']} threads, torch {results['torch'] or 'not asked for'}, "
          f"OPENBLAS_CORETYPE {results['OPENBLAS_CORETYPE'] or 'not set'}, {results['date']}")  # fmt: skip
    failed = steps(options, results) if beside_torch else []
    if not options.names or "start" in options.names:
        from benchmarks import process

        results["process"] = process.table()
    if not options.names or "recorder" in options.names:
        from benchmarks import recorder

        print()
        results["recorder"] = recorder.table(4 * options.seconds)  # small differences of noisy times
    if not options.names or "pictures" in options.names:
        from benchmarks import pictures

        print()
        results["pictures"] = pictures.table(options.seconds)
    pathlib.Path(options.output).write_text(json.dumps(results, indent=1))
    if failed:
        print(f"\nFailed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
