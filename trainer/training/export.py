"""Export: a trained Keras model as model.onnx, to score with, and model.keras, to inspect and train on."""

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import keras
import onnx

WINDOWS, REBUILT = "windows", "rebuilt"
"""Names of the graph's input and output."""


def exported_files(model: keras.Model) -> dict[str, bytes]:
    """model.onnx and model.keras, by name."""
    with tempfile.TemporaryDirectory(prefix="sheetbreak-") as folder:
        export_model(model, Path(folder))
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def export_model(model: keras.Model, folder: Path) -> None:
    """Write model.onnx and model.keras into `folder`. The number of windows is left open in the graph.

    Layers that act only in training (noise, penalties) are not in it. The same weights give the same bytes of
    ONNX.
    """
    model.save(folder / "model.keras")
    path = folder / "model.onnx"
    with _quiet(), _without_penalties(model):
        model.export(str(path), format="onnx", verbose=False)
    graph_file = onnx.load(path)
    _order(graph_file.graph)
    _rename(graph_file.graph, model.output_shape[1:])
    onnx.checker.check_model(graph_file)
    path.write_bytes(graph_file.SerializeToString(deterministic=True))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what tf2onnx has to say about numpy 2, which nobody here can act on."""
    loud = logging.getLogger("tf2onnx")
    level = loud.level
    loud.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        loud.setLevel(level)


@contextlib.contextmanager
def _without_penalties(model: keras.Model) -> Iterator[None]:
    """Penalties on activations stay in the graph as ends that lead nowhere, and TensorFlow refuses those."""
    layers = list(_all_layers(model))
    penalties = [layer.activity_regularizer for layer in layers]
    try:
        for layer in layers:
            layer.activity_regularizer = None
        yield
    finally:
        for layer, penalty in zip(layers, penalties, strict=True):
            layer.activity_regularizer = penalty


def _all_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers of a model and of the models within it."""
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _all_layers(layer)


def _order(graph: onnx.GraphProto) -> None:
    """Put the nodes in an order that follows from the graph alone: tf2onnx's depends on the names that it counts."""
    maker = {name: i for i, node in enumerate(graph.node) for name in node.output}
    nodes, order, seen = list(graph.node), list[int](), set[int]()

    def visit(names: Iterable[str]) -> None:
        for i in (maker[name] for name in names if name in maker):
            if i not in seen:
                seen.add(i)
                visit(_needed(nodes[i]))
                order.append(i)

    visit(value.name for value in graph.output)
    ordered = [onnx.NodeProto.FromString(nodes[i].SerializeToString()) for i in order]
    del graph.node[:]
    graph.node.extend(ordered)
    for node in graph.node:
        for inner in _inner_graphs(node):
            _order(inner)


def _needed(node: onnx.NodeProto) -> Iterator[str]:
    """The values that a node takes, those of its inner graphs included."""
    yield from node.input
    for inner in _inner_graphs(node):
        for one in inner.node:
            yield from _needed(one)
        yield from (value.name for value in inner.output)


def _rename(graph: onnx.GraphProto, shape: tuple[int, ...]) -> None:
    """Number all names of a graph in the order of its nodes: tf2onnx counts on from export to export."""
    names: dict[str, str] = {"": ""}
    names[graph.input[0].name], names[graph.output[0].name] = WINDOWS, REBUILT
    _number(graph, names)
    _apply(graph, names)
    for value in (graph.input[0], graph.output[0]):
        value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, onnx.TensorProto.FLOAT, ["n", *shape]))


def _number(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    """Give every value of a graph and its sub-graphs a name; tf2onnx uses none twice."""
    for value in graph.input:
        names.setdefault(value.name, f"v{len(names)}")
    for node in graph.node:
        for name in (*node.input, *node.output):
            names.setdefault(name, f"v{len(names)}")
        for inner in _inner_graphs(node):
            _number(inner, names)
    for value in graph.output:
        names.setdefault(value.name, f"v{len(names)}")


def _apply(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    graph.name, graph.doc_string = "graph", ""
    del graph.value_info[:]
    used = sorted((i for i in graph.initializer if i.name in names), key=lambda i: int(names[i.name][1:]))
    constants = [onnx.TensorProto.FromString(i.SerializeToString()) for i in used]
    del graph.initializer[:]
    graph.initializer.extend(constants)
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = names[value.name]
    for i, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{i}"
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
        for inner in _inner_graphs(node):
            _apply(inner, names)


def _inner_graphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [a.g for a in node.attribute if a.type == onnx.AttributeProto.GRAPH]
