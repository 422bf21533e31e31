"""Levels of detail: operation → module → block, and repeated blocks folded into one.

Every group is a run of consecutive operations. Execution order is a topological order, so whatever is merged this
way, the picture stays without cycles. A group never hides a highway: it ends before an operation where a skip
arrives, and after one from which a skip leaves.
"""

import itertools
from dataclasses import dataclass

LIMIT = 64  # nodes that are shown at once by default
LEVELS = ("op", "module", "block", "folded")
_LONGEST_PERIOD = 16


@dataclass
class Group:
    """Consecutive operations drawn as one node: indices of vertices, the name, "operation" | "module" | …"""

    vertices: list
    name: str
    kind: str


def at_level(vertices, skips, level):
    """(level used, list of groups, folds among them as (first group, groups in a block, repeats)).

    "auto" is the finest level with at most `LIMIT` nodes.
    """
    if level not in (*LEVELS, "auto"):
        raise ValueError(f'level must be "auto", "op", "module", "block" or "folded", got {level!r}')
    for name in LEVELS if level == "auto" else (level,):
        groups = _groups(vertices, skips, name)
        folds = find_folds(vertices, skips, groups) if name == "folded" else []
        if level != "auto" or _shown(groups, folds) <= LIMIT:
            return name, groups, folds
    return "folded", *_in_chunks(groups, folds)


def _groups(vertices, skips, level):
    operations = [index for index, vertex in enumerate(vertices) if vertex.is_operation]
    if level == "op":
        return [Group([index], vertices[index].node.name, "operation") for index in operations]
    cuts = _cuts(vertices, skips)
    modules = _runs(vertices, operations, _leaf_scopes(vertices, operations), cuts, "module")
    if level == "module":
        return modules
    scopes = block_scopes(vertices, operations)
    if scopes:
        groups, on_skip = _runs(vertices, operations, scopes, cuts, "block"), _on_skip(vertices, skips)
        for group in groups:
            if on_skip.issuperset(group.vertices):  # beside its block, and of another name
                group.name = _common_scope([vertices[index].node.scope for index in group.vertices]) or group.name
        return groups
    return _blocks_by_repetition(vertices, skips, modules)


def _runs(vertices, operations, keys, cuts, kind):
    """Join neighbours with the same key, unless a highway begins or ends between them."""
    groups, previous, last = [], None, 0
    for index in operations:
        key = keys.get(index)
        cut = any(between in cuts for between in range(last + 1, index + 1))  # leaves may stand in between
        last = index
        if groups and key is not None and key == previous and not cut:
            groups[-1].vertices.append(index)
            groups[-1].kind = kind
        else:
            groups.append(Group([index], key or vertices[index].node.name, "operation"))
        previous = key
    return groups


def _cuts(vertices, skips):
    """Operations before which a group must end."""
    cuts, on_skip = set(), _on_skip(vertices, skips)
    for index, slot in skips:
        source = next(s for i, s, _ in vertices[index].operands if i == slot)
        if source not in on_skip:
            cuts.add(source + 1)
        if vertices[index].node.is_merge:
            cuts.add(index)
    for index in on_skip:
        if index - 1 not in on_skip:
            cuts.add(index)
        if index + 1 not in on_skip:
            cuts.add(index + 1)
    return cuts


def _on_skip(vertices, skips):
    """Operations on a highway itself, as the convolution around a block that changes the shape."""
    return {index for index, _ in skips if not vertices[index].node.is_merge}


def _common_scope(scopes):
    """The module that holds all of these: `blocks.3.shortcut`."""
    parts = [scope.split(".") for scope in scopes]
    same = itertools.takewhile(lambda level: len(set(level)) == 1, zip(*parts, strict=False))
    return ".".join(level[0] for level in same)


def _leaf_scopes(vertices, operations):
    """The scope of each operation that ran in a module without modules of its own."""
    inner = set()
    for index in operations:
        parts = vertices[index].node.scope.split(".")
        inner.update(".".join(parts[:depth]) for depth in range(len(parts)))
    scopes = {index: vertices[index].node.scope for index in operations}
    return {index: scope for index, scope in scopes.items() if scope and scope not in inner}


def block_scopes(vertices, operations):
    """The block of each operation: the outermost numbered module that holds several, but no mere list of blocks."""
    children = {}
    for index in operations:
        parts = vertices[index].node.scope.split(".")
        for depth in range(1, len(parts)):
            children.setdefault(".".join(parts[:depth]), {})[parts[depth]] = None

    def is_block(prefix):
        inside = children.get(prefix)
        if not inside or not prefix[-1].isdigit():
            return False
        return not all(child.isdigit() and f"{prefix}.{child}" in children for child in inside)

    blocks = {}
    for index in operations:
        parts = vertices[index].node.scope.split(".")
        for depth in range(1, len(parts) + 1):
            prefix = ".".join(parts[:depth])
            if is_block(prefix):
                blocks[index] = prefix
                break
    return blocks


# ------------------------------------------------------------------------------------ repetition


def find_repeats(signatures):
    """Runs that repeat: a list of (start, period, count), count ≥ 3, from left to right without overlap."""
    repeats, start = [], 0
    while start < len(signatures):
        best = (0, 0)
        for period in range(1, min(_LONGEST_PERIOD, (len(signatures) - start) // 3) + 1):
            end = start + period
            while end < len(signatures) and signatures[end] == signatures[end - period]:
                end += 1
            count = (end - start) // period
            if count >= 3 and count * period > best[0] * best[1]:
                best = (period, count)
        if best[1]:
            repeats.append((start, *best))
        start += max(1, best[0] * best[1])
    return repeats


def _blocks_by_repetition(vertices, skips, modules):
    """For nets written as one long list of layers: what repeats is a block. It begins with its layer of weights."""
    signatures = [_signature(vertices, group) for group in modules]
    blocks, done = [], 0
    cuts = _cuts(vertices, skips)
    for start, period, count in find_repeats(signatures):
        if period == 1:
            continue
        turn = next((i for i in range(period) if _has_weights(vertices, modules[start + i])), 0)
        while turn and _is_data(vertices, modules[start + turn - 1]):  # and with the data that it reads
            turn -= 1
        start += turn
        end = start + period
        while end < len(signatures) and signatures[end] == signatures[end - period]:
            end += 1
        count = (end - start) // period
        blocks += modules[done:start]
        instances = [modules[first : first + period] for first in range(start, start + period * count, period)]
        for name, instance in zip(_names(vertices, instances), instances, strict=True):
            indices = [index for group in instance for index in group.vertices]
            parts = _runs(vertices, indices, dict.fromkeys(indices, name), cuts, "block")
            for part in parts:
                if len(part.vertices) == 1:
                    part.name = vertices[part.vertices[0]].node.name
            blocks += parts
        done = start + period * count
    return blocks + modules[done:]


def _names(vertices, instances):
    """The name of each repeat of a block; repeats of one name, as the steps of a recurrent net, are numbered."""
    names = []
    for instance in instances:
        first = next((group for group in instance if not _is_data(vertices, group)), instance[0])
        names.append(f"{first.name} … {instance[-1].name}")
    if len(set(names)) == len(names):
        return names
    return [f"{name} ({number})" for number, name in enumerate(names, 1)]


def _is_data(vertices, group):
    return not any(vertices[index].node.wants_gradient for index in group.vertices)


def _has_weights(vertices, group):
    return any(len(p.shape) >= 2 for index in group.vertices for p in vertices[index].node.parameters)


def _signature(vertices, group):
    """What two blocks must have in common to be drawn as one: operations, shapes, parameters."""
    return tuple(
        (node.op, node.shape, tuple(parameter.shape for parameter in node.parameters), node.is_merge)
        for node in (vertices[index].node for index in group.vertices)
    )


def find_folds(vertices, skips, groups):
    """Repeats among groups that also read their operands from the same distance."""
    owner = {index: number for number, group in enumerate(groups) for index in group.vertices}
    signatures = []
    for number, group in enumerate(groups):
        distances = tuple(
            (number - owner[source], (index, slot) in skips)
            for index in group.vertices
            for slot, source, _ in vertices[index].operands
            if owner.get(source, number) != number
        )
        signatures.append((_signature(vertices, group), distances))
    return find_repeats(signatures)


def _in_chunks(groups, folds):
    """The last resort for a long graph in which little repeats: so many operations, as one node.

    The longest folds stay, as long as they need no more than half of the room.
    """
    kept, room = [], LIMIT // 2
    for fold in sorted(folds, key=lambda fold: (-fold[1] * fold[2], fold)):
        long = fold[1] * fold[2] > 2 * len(groups) / LIMIT
        if long and fold[1] + 2 <= room:  # its block, and what it splits
            kept.append(fold)
            room -= fold[1] + 2
    kept.sort()
    folded = {start + i for start, period, count in kept for i in range(period * count)}
    size = 2
    while True:
        chunks, place = [], {}
        filled = 0
        for number, group in enumerate(groups):
            if number in folded or number - 1 in folded or not chunks or filled == size:
                chunks.append(Group(list(group.vertices), group.name, group.kind))
                filled = 1
            else:
                chunks[-1].vertices += group.vertices
                chunks[-1].kind = "group"
                filled += 1
            place[number] = len(chunks) - 1
        moved = [(place[start], period, count) for start, period, count in kept]
        if _shown(chunks, moved) <= LIMIT:
            return chunks, moved
        size *= 2


def _shown(groups, folds):
    """How many nodes are drawn."""
    return len(groups) - sum(period * (count - 1) for _, period, count in folds)
