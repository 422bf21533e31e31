"""From vertices and groups to the nodes and edges of one picture."""

import dataclasses
import math
import statistics

from .model import Edge, Node


def compose(vertices, skips, shares, groups, folds):
    """(nodes in topological order, with ids n0, n1, …; edges). Every operand that leaves its group is an edge.

    Of a fold, one block is drawn. An edge of it stands for those of all repeats (mean of RMS, mean share);
    from one repeat to the next there is none. What enters a later repeat or leaves an earlier one counts for the
    edge between the same nodes that enters the first or leaves the last; where there is none, it is drawn itself.
    """
    fold_of = {}  # group -> (first group of the fold, position in the block, which repeat)
    for start, period, count in folds:
        for offset in range(period * count):
            fold_of[start + offset] = (start, offset % period, offset // period)
    last_repeat = {}
    for start, _, repeat in fold_of.values():
        last_repeat[start] = max(repeat, last_repeat.get(start, 0))
    owner = {index: number for number, group in enumerate(groups) for index in group.vertices}
    readers = {}  # vertex -> the groups that read its output
    for index, vertex in enumerate(vertices):
        for _, source, _ in vertex.operands:
            readers.setdefault(source, {})[owner[index]] = None
    outputs = [_output(vertices, group, number, readers) for number, group in enumerate(groups)]

    def drawn(number):
        start, position, _ = fold_of.get(number, (number, 0, 0))
        return start + position

    fold_number = {start: number for number, (start, _, _) in enumerate(folds)}
    absorbed = _absorbed(vertices, owner, groups, readers)
    nodes, node_at = [], {}
    for index, vertex in enumerate(vertices):
        if not vertex.is_operation:
            hidden = all(fold_of.get(number, (0, 0, 0))[2] > 0 for number in readers.get(index, (-1,)))
            if index not in absorbed and not hidden:
                node_at["leaf", index] = len(nodes)
                nodes.append(dataclasses.replace(vertex.node, members=(index,), outputs=(index,)))
            continue
        number = owner[index]
        if drawn(number) != number or number in node_at:
            continue
        repeats = [n for n in fold_of if fold_of[n][:2] == fold_of[number][:2]] if number in fold_of else [number]
        node_at[number] = len(nodes)
        made = [_group_node(vertices, groups[n], outputs[n], skips) for n in repeats]
        nodes.append(made[0] if len(made) == 1 else _folded(made))
        nodes[-1].fold = fold_number.get(fold_of[number][0]) if number in fold_of else None
        nodes[-1].members = tuple(index for n in repeats for index in groups[n].vertices)
        nodes[-1].outputs = tuple(outputs[n] for n in repeats)
    for number, node in enumerate(nodes):
        node.id = f"n{number}"

    bundles, later, aside = {}, {}, {}
    for index, vertex in enumerate(vertices):
        if not vertex.is_operation:
            continue
        target = owner[index]
        for slot, source, rms in vertex.operands:
            edge = (rms, shares.get((index, slot)), (index, slot) in skips, source, index)
            place = (node_at[drawn(target)], slot, groups[target].vertices.index(index))
            if source in owner:
                if owner[source] == target:
                    continue
                begin = node_at[drawn(owner[source])]
                how = _between_repeats(fold_of, last_repeat, owner[source], target)
                if how == "next":
                    later.setdefault(place, []).append(edge)  # drawn where the same operand of the first repeat is
                    continue
            elif ("leaf", source) in node_at:
                begin, how = node_at["leaf", source], ""
            else:
                continue
            key = (begin, *place, _position(owner, groups, source), edge[2])
            (aside if how else bundles).setdefault(key, []).append(edge)
    drawn_as = {(key[0], key[1], key[-1]): key for key in reversed(bundles)}  # a skip stays a skip
    for key, bundle in aside.items():
        same = key if key in bundles else drawn_as.setdefault((key[0], key[1], key[-1]), key)
        bundles.setdefault(same, []).extend(bundle)
    edges = []
    for (begin, end, slot, position, *_), bundle in bundles.items():
        every = bundle + later.pop((end, slot, position), [])
        drawn_edge = Edge(nodes[begin].id, nodes[end].id, slot, _mean_rms(every), _mean_share(every), *bundle[0][2:])
        drawn_edge.agreement = None if drawn_edge.share is None else vertices[drawn_edge.maker].node.agreement
        if nodes[end].kind == "operation":
            drawn_edge.derivative = vertices[drawn_edge.reader].derivatives.get(slot)
        edges.append(drawn_edge)
    return nodes, edges


def _position(owner, groups, source):
    return groups[owner[source]].vertices.index(source) if source in owner else 0


def _between_repeats(fold_of, last_repeat, source, target):
    """"next" for an edge from one repeat to another of its fold, "aside" for one that enters a later repeat from
    without or leaves an earlier one, "" for one that is drawn as it is."""
    from_fold, to_fold = fold_of.get(source), fold_of.get(target)
    if from_fold is not None and to_fold is not None and from_fold[0] == to_fold[0]:
        return "next" if from_fold[2] != to_fold[2] else ""
    enters_later = to_fold is not None and to_fold[2] > 0
    leaves_earlier = from_fold is not None and from_fold[2] != last_repeat[from_fold[0]]
    return "aside" if enters_later or leaves_earlier else ""


def _absorbed(vertices, owner, groups, readers):
    """Data that a group reads on the side (a mask, a target): part of the group, not a node."""
    result = set()
    for leaf, numbers in readers.items():
        if vertices[leaf].node.kind != "input" or len(numbers) > 1:
            continue
        number = next(iter(numbers))
        group = groups[number]
        reads_others = any(owner.get(s, number) != number for i in group.vertices for _, s, _ in vertices[i].operands)
        if len(group.vertices) > 1 and reads_others:
            result.add(leaf)
    return result


def _output(vertices, group, number, readers):
    """The vertex whose output is the group's: the last one that something outside reads, or else the last one.

    One that a gradient reaches goes before one that only data leaves by.
    """
    read = [index for index in group.vertices if any(reader != number for reader in readers.get(index, ()))]
    return max(read or group.vertices, key=lambda index: (vertices[index].node.wants_gradient, index))


def _group_node(vertices, group, output, skips):
    members = [vertices[index].node for index in group.vertices]
    last = vertices[output].node
    if len(members) == 1:
        return dataclasses.replace(last, name=group.name)
    inside = set(group.vertices)
    operations = list(dict.fromkeys(member.op for member in members))
    merge = members[0].is_merge
    name = group.name if group.kind != "group" else f"{members[0].name} … {last.name}"
    return Node(
        "", f"{name} ⊕" if merge else name, _summary(operations), members[0].scope, group.kind, last.shape, last.dtype,
        parameters=tuple(_renamed(parameter, member, group) for member in members for parameter in member.parameters),
        multiply_adds=sum(member.multiply_adds for member in members), saved_bytes=_total_saved(members),
        activation=last.activation, gradient=last.gradient, wants_gradient=last.wants_gradient, is_merge=merge,
        agreement=last.agreement,
        is_loss=any(member.is_loss for member in members),
        hidden=tuple(f"{member.name} ({member.op})" for member in members),
        strip=tuple((member.value, member.mark) for member in members),
        skips_inside=sum(_source(vertices, i, slot) in inside for i, slot in skips if i in inside and
                         vertices[i].node.is_merge),
        value=last.value, mark=last.mark, is_first_bad=any(member.is_first_bad for member in members),
        is_first_bad_output=any(member.is_first_bad_output for member in members),
        is_reference=any(member.is_reference for member in members), is_neutral=last.is_neutral,
    )  # fmt: skip


def _renamed(parameter, member, group):
    path = member.scope[len(group.name) + 1 :] if member.scope.startswith(group.name + ".") else member.scope
    name = f"{path}.{parameter.name}" if path and path != group.name and group.kind != "module" else parameter.name
    return dataclasses.replace(parameter, name=name)


def _source(vertices, index, slot):
    return next(source for i, source, _ in vertices[index].operands if i == slot)


def _summary(operations):
    return " · ".join(operations) if len(operations) <= 3 else f"{' · '.join(operations[:2])} … {operations[-1]}"


def _folded(made):
    """One node for the same place in every repeat: the median of their gradients, of which 0 is the smallest."""
    first, last = made[0], made[-1]
    sizes = [node.value for node in made if node.value is not None]
    absent = [node.mark for node in made if node.mark in ("zero", "none")]
    middle = statistics.median(sizes + [-math.inf] * len(absent)) if sizes else None
    lost = sizes and middle == -math.inf
    bad = next((node for node in made if node.mark in ("nan", "inf")), None)
    shared = all(
        [p.leaf for p in node.parameters] == [p.leaf for p in first.parameters] for node in made
    ) and bool(first.parameters)  # fmt: skip
    return dataclasses.replace(
        last, name=f"{first.name} … {last.name}", scope=first.scope, parameters=first.parameters if shared else
        tuple(parameter for node in made for parameter in node.parameters),
        multiply_adds=sum(node.multiply_adds for node in made), saved_bytes=_total_saved(made),
        hidden=tuple(name for node in made for name in (node.hidden or (f"{node.name} ({node.op})",))),
        strip=tuple((node.value, node.mark) for node in made), repeats=len(made), shared=shared,
        value=None if lost else middle,
        mark=bad.mark if bad else max(absent) if lost else "" if sizes else last.mark,  # max: "zero" before "none"
        is_first_bad=any(node.is_first_bad for node in made),
        is_first_bad_output=any(node.is_first_bad_output for node in made), is_loss=any(node.is_loss for node in made),
        is_reference=any(node.is_reference for node in made),
    )  # fmt: skip


def _total_saved(nodes):
    known = [node.saved_bytes for node in nodes if node.saved_bytes is not None]
    return sum(known) if known else None


def _mean_rms(bundle):
    """The geometric mean; the median where one is 0, as for a fold; what is not finite goes before everything."""
    known = [rms for rms, *_ in bundle if rms is not None]
    broken = [rms for rms in known if not math.isfinite(rms)]
    if not known or broken:
        return broken[0] if broken else None
    if min(known) <= 0.0:
        return statistics.median(known)
    return known[0] if len(known) == 1 else math.exp(statistics.fmean(math.log(rms) for rms in known))


def _mean_share(bundle):
    known = [share for _, share, *_ in bundle if share is not None]
    return statistics.fmean(known) if known else None
