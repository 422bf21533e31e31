"""Why a deep plain net does not train, and why a residual one does: seen in its gradients.

    python examples/plain_vs_residual.py                  # about a minute on two cores
    python examples/plain_vs_residual.py --quick          # the same in small: one seed, depths 6 and 54

The comparison of He et al. (2016): a plain and a residual net of one depth have the same layers and the same
parameters, and differ in nothing but the additions `h + F(h)`. Both are trained on real handwritten digits. Batch
norm is in both; it keeps the signal's size on the way forward, but on the way back the squared gradient of the
plain net grows by π/(π-1) = 1.47 a layer, towards the input (Yang et al. 2019): 54 layers make the first layer's
gradient 20,000 times the last one's, and no learning rate suits both. The skip connections undo this.

Into the output folder go: the gradient-flow graph of each net, layer profiles at the start and through training,
training-error curves, one summary sheet (each as SVG and PNG), and the numbers as results.json.
"""

import argparse
import contextlib
import json
import math
import os
import pathlib
import statistics
import sys
import tempfile
import time

if __name__ == "__main__":  # Matrices this small gain nothing from a second BLAS thread. Before NumPy is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from tqdm import tqdm

import tinygrad_course as tg
import viz
from tinygrad_course import data, models, nn, optim, train

DATA = {"mnist": data.MNIST, "digits": data.Digits}
NETS = ("plain", "residual")
BATCH_SIZE = 100
PROFILES = 24  # gradient profiles recorded in a training run


def main(arguments=None):
    """Run the comparison; returns the process's exit code."""
    options = parse(arguments)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=options.out).close()
    except OSError as error:
        print(f"cannot write into {options.out} ({error.strerror}); choose another folder with --out", file=sys.stderr)
        return 2
    started = time.perf_counter()
    study = Study(options)
    try:
        study.train_all()
    except KeyboardInterrupt:
        print(f"\nstopped by Ctrl-C after {len(study.runs)} of {study.planned} runs; drawing what is done")
        study.interrupted = True
    try:
        study.write()
    except KeyboardInterrupt:
        print(f"\nstopped by Ctrl-C while drawing; what was written so far is in {options.out}")
        return 130
    except OSError as error:
        print(f"cannot write into {options.out}: {error}; choose another folder with --out", file=sys.stderr)
        return 2
    print(f"\n{study.conclusion()}\n")
    seen = "summary.png" if study.complete_depths() else "results.json"
    print(f"{time.perf_counter() - started:.0f} s. Look at {options.out / seen}")
    return 130 if study.interrupted else 0


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--depth", type=int, action="append", metavar="N", help="weight layers, even, 4 or more; "
                        "give it several times (default: 6, 18, 54)")  # fmt: skip
    parser.add_argument("--width", type=positive, default=64, metavar="N", help="units in a layer (default: 64)")
    parser.add_argument("--epochs", type=positive, metavar="N", help="passes over the data (default: 5)")
    parser.add_argument("--seed", type=int, action="append", metavar="N", help="may be repeated (default: 0, 1, 2)")
    parser.add_argument("--data", choices=sorted(DATA), default="mnist", help="data set (default: mnist)")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("out", "plain_vs_residual"), metavar="DIR",
                        help="folder for pictures and numbers (default: out/plain_vs_residual)")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="one seed, depths 6 and 54, 2 epochs")
    options = parser.parse_args(arguments)
    options.depth = sorted(set(options.depth or ([6, 54] if options.quick else [6, 18, 54])))
    options.seed = sorted(set(options.seed or ([0] if options.quick else [0, 1, 2])))
    options.epochs = options.epochs or (2 if options.quick else 5)
    for depth in options.depth:
        if depth < 4 or depth % 2:
            parser.error(f"--depth {depth}: stem, blocks of two layers and classifier make an even number, 4 or more")
    if min(options.seed) < 0:
        parser.error(f"--seed {min(options.seed)}: a seed is 0 or more")
    return options


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not 1 or more")
    return number


class Study:
    """All runs of the comparison, and what was measured in them."""

    def __init__(self, options):
        self.options = options
        self.train_set, self.test_set = DATA[options.data](train=True), DATA[options.data](train=False)
        self.planned = 2 * len(options.depth) * len(options.seed)
        self.runs = []  # one dict a finished run: what results.json holds
        self.curves = {}  # (net, depth) -> error after each epoch, a list a seed
        self.flows = {}  # (net, depth) -> gradient-flow graph at initialization, first seed
        self.layers = {}  # (net, depth) -> gradient and activation RMS of each layer at initialization, first seed
        self.history = {}  # (net, depth) -> (steps, gradient RMS: step × layer), first seed
        self.theory = {}
        self.interrupted = False

    def train_all(self):
        """First the check of the theory, then every run, deepest first within a seed."""
        self.theory = check_theory(self.train_set, self.options)
        options, steps = self.options, -(-len(self.train_set) // BATCH_SIZE) * self.options.epochs
        with tqdm(total=self.planned * steps, unit="step", disable=None, smoothing=0.05) as bar:
            for seed in options.seed:
                for depth in reversed(options.depth):
                    for net in NETS:
                        bar.set_description(f"{net} {depth} layers, seed {seed}")
                        self.train_one(net, depth, seed, bar)

    def train_one(self, net, depth, seed, bar):
        options = self.options
        tg.manual_seed(seed)
        pixels = math.prod(self.train_set.images.shape[1:])
        model = models.DeepMLP(depth, options.width, pixels, len(self.train_set.classes), residual=net == "residual")
        loader = data.DataLoader(self.train_set, BATCH_SIZE, shuffle=True)
        first = seed == options.seed[0]
        recording = record_step(model, self.train_set)
        layers = recording.layers()
        profile = [layer.gradient_rms for layer in layers]
        optimizer = optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
        every = max(1, len(loader) * options.epochs // PROFILES)
        recorder = viz.record(model, every=every)
        errors = []
        with recorder if first else contextlib.nullcontext():
            for epoch in train.train(model, loader, optimizer, options.epochs, on_step=lambda *_: bar.update()):
                errors.append(epoch.error)
        key = net, depth
        self.curves.setdefault(key, []).append(errors)
        if first:
            self.layers[key] = layers
            self.flows[key] = viz.gradient_flow(recording, title=f"{net.capitalize()}, {depth} layers")
            history = recorder.gradient_history()
            self.history[key] = [every * i for i in range(len(history))], history
        self.runs.append({
            "net": net, "depth": depth, "seed": seed,
            "train_error": train.error_rate(model, self.train_set),
            "test_error": train.error_rate(model, self.test_set),
            "grad_slope": viz.theory.measured_ratio(profile[:-1]),
            "input_gradient": profile[0] / profile[-1],
            "error_by_epoch": errors,
        })  # fmt: skip

    # ------------------------------------------------------------------------------------ what came of it

    def complete_depths(self):
        """Depths for which both nets have been trained with a seed at least."""
        return [d for d in self.options.depth if all((net, d) in self.flows for net in NETS)]

    def mean(self, net, depth, figure):
        values = [run[figure] for run in self.runs if (run["net"], run["depth"]) == (net, depth)]
        return statistics.fmean(values) if values else math.nan

    def conclusion(self):
        """The numbers, and the sentence they allow."""
        lines = []
        if self.theory:
            lines.append("Squared gradient per layer towards the input, at initialization (width 512, 50 layers):")
            for name, (measured, predicted) in self.theory.items():
                lines.append(f"  {name:<36} measured {measured:.3f}   theory {predicted:.3f}")
        if not self.runs:
            return "\n".join([*lines, "No run was finished, so there is nothing to conclude."])
        lines.append("\nnet       depth   train error   test error   gradient²/layer   first layer / logits (RMS)")
        for net in NETS:
            for depth in self.options.depth:
                if any((run["net"], run["depth"]) == (net, depth) for run in self.runs):
                    error, test, slope, size = (
                        self.mean(net, depth, f) for f in ("train_error", "test_error", "grad_slope", "input_gradient")
                    )
                    row = f"{net:<9} {depth:>5}   {error:>10.1%}   {test:>10.1%}   {slope:>15.3f}   {size:>10.3g}"
                    lines.append(row)
        return "\n".join([*lines, "", self.sentence()])

    def sentence(self):
        """The conclusion in one sentence, whatever the numbers are."""
        depths = self.complete_depths()
        if not depths:
            return "One of the two nets is missing, so there is no comparison."
        low, high = depths[0], depths[-1]
        size = {net: self.mean(net, high, "input_gradient") for net in NETS}
        times = size["plain"] / size["residual"]
        text = f"At {high} layers the plain net's first-layer gradient is {times:,.0f} times the residual net's. "
        for net in NETS:
            deep = self.mean(net, high, "train_error")
            if low == high:
                text += f"The {net} net ends at {deep:.1%} training error. "
                continue
            shallow = self.mean(net, low, "train_error")
            spread = max(0.01, shallow)  # a change within a percentage point, or less than double, is none
            verdict = "rises" if deep - shallow > spread else "falls" if shallow - deep > spread else "hardly changes"
            text += f"From {low} to {high} layers the {net} net's training error {verdict}: "
            text += f"{shallow:.1%} to {deep:.1%}. "
        return text.strip()

    def write(self):
        """All files, the numbers first."""
        out = self.options.out
        results = {
            "runs": self.runs,
            "theory": {name: {"measured": m, "predicted": p} for name, (m, p) in self.theory.items()},
            "settings": {
                "data": self.options.data, "width": self.options.width, "epochs": self.options.epochs,
                "batch_size": BATCH_SIZE, "optimizer": "SGD lr 0.02 momentum 0.9", "interrupted": self.interrupted,
            },
            "conclusion": self.sentence(),
        }  # fmt: skip
        (out / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
        depths = self.complete_depths()
        if not depths:
            return
        deepest = depths[-1]
        flows = [self.flows[net, deepest] for net in NETS]
        scale = viz.compare_scale(*flows)
        for net, flow in zip(NETS, flows, strict=True):
            for suffix in ("svg", "png"):
                flow.with_scale(scale).save(out / f"gradient_flow_{net}_{deepest}.{suffix}")
        profiles = {net: [layer.gradient_rms for layer in self.layers[net, deepest]] for net in NETS}
        activations = {net: [layer.activation_rms for layer in self.layers[net, deepest]] for net in NETS}
        theory = {"plain": viz.theory.batch_norm_relu_ratio(BATCH_SIZE)}
        ends = sorted({depths[0], deepest})
        curves = {f"{net}, {depth} layers": self.curves[net, depth] for depth in ends for net in NETS}
        heat = {f"{net}, {deepest} layers": self.history[net, deepest][1] for net in NETS}
        steps = self.history["plain", deepest][0]
        figures = {
            "profile_start": viz.plots.layer_profile(
                profiles, activations, theory=theory, title=f"At initialization, {deepest} layers"
            ),
            "profile_training": viz.gradient_heat(heat, x=steps, title="Gradient through training"),
            "training_error": viz.training_curves(
                {f"{net}, {d} layers": self.curves[net, d] for net in NETS for d in depths}, title="Training error"
            ),
            "summary": viz.summary_sheet(
                *flows, profiles, theory=theory, curves=curves, heat=heat, steps=steps, caption=self.sentence(),
                title=f"A plain and a residual net of {deepest} layers",
            ),
        }  # fmt: skip
        for name, figure in figures.items():
            for suffix in ("svg", "png"):
                viz.save_figure(figure, out / f"{name}.{suffix}")


def record_step(model, dataset):
    """One forward and backward pass on the first batch of the data, recorded; the model is left as it was."""
    x, y = next(iter(data.DataLoader(dataset, BATCH_SIZE)))
    before = {name: tensor.clone() for name, tensor in model.named_buffers()}
    with viz.record(model) as recording:
        nn.functional.cross_entropy(model(x), y).backward()
    model.zero_grad()
    for name, tensor in model.named_buffers():
        tensor.copy_(before[name])
    return recording


def check_theory(dataset, options):
    """Measured and predicted squared-gradient ratio per layer of three wide nets at initialization."""
    nets = {
        "plain, batch norm (any scale)": (dict(), viz.theory.batch_norm_relu_ratio()),
        "plain, no norm, He init (2/n)": (dict(batch_norm=False, init="he"), viz.theory.relu_ratio(2.0)),
        "plain, no norm, Xavier init (1/n)": (dict(batch_norm=False, init="xavier"), viz.theory.relu_ratio(1.0)),
    }
    found = {}
    for name, (how, predicted) in nets.items():
        tg.manual_seed(options.seed[0])
        model = models.DeepMLP(50, 512, math.prod(dataset.images.shape[1:]), **how)
        layers = record_step(model, dataset).layers()
        found[name] = viz.theory.measured_ratio([layer.gradient_rms for layer in layers[:-1]]), predicted
    return found


if __name__ == "__main__":
    sys.exit(main())
