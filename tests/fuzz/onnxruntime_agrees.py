#!/usr/bin/env python3
"""Runs the models that `differential` exports in ONNX Runtime and compares their outputs.

    onnxruntime_agrees.py FOLDER

A model has no inputs; the initialisers `expected/NAME` and `tolerance/NAME` say what output NAME should be. Types that ONNX
Runtime has no kernel for are counted, not compared. Exit 1 where an output disagrees.
"""
import os
import sys


def drops_windows(model):
    """Whether a pool may drop the last window, that begins beyond the input: before opset 22 the inference of shapes counts
    it, while the kernels do not."""
    pools = [n for n in model.graph.node if n.op_type in ("AveragePool", "MaxPool", "LpPool")]
    ceils = any(a.name == "ceil_mode" and a.i for n in pools for a in n.attribute)
    return ceils and all(o.version < 22 for o in model.opset_import if o.domain == "")


def disagreement(path, np, onnx, ort):
    model = onnx.load(path)
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    for kept in [t for t in model.graph.initializer if t.name.startswith(("expected/", "tolerance/"))]:
        model.graph.initializer.remove(kept)
    if not model.graph.node:
        return ""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        actual = dict(zip((o.name for o in session.get_outputs()), session.run(None, {})))
    except Exception as error:
        if "NOT_IMPLEMENTED" in str(error) or "NotImplemented" in type(error).__name__ or any(
                words in str(error) for words in ("not support", "in node ()")):  # "in node ()": its own expansion of an op
            return "unknown"
        if ("ShapeInferenceError" in str(error) or "Shape mismatch" in str(error)) and drops_windows(model):
            return "unknown"
        return f"refused: {str(error)[:300]}"
    for name, value in actual.items():
        expected, tolerance = constants["expected/" + name], constants["tolerance/" + name]
        if value.shape != expected.shape or value.dtype != expected.dtype:
            return f"output '{name}' is {value.dtype}{value.shape}, expected {expected.dtype}{expected.shape}"
        if value.dtype == np.float64:
            tolerance = 100 * tolerance  # ONNX Runtime calculates parts of its double kernels in float
        a, e = value.astype(np.float64), expected.astype(np.float64)
        far = ~((a == e) | (np.isnan(a) & np.isnan(e)) | (np.abs(a - e) <= tolerance))
        if far.any():
            at = tuple(np.argwhere(far)[0])
            return f"output '{name}' is {a[at]} at {at}, expected {e[at]}, tolerance {float(tolerance):.3g}"
    return ""


def main(folder):
    try:
        import numpy as np
        import onnx
        import onnxruntime as ort
    except ImportError as missing:
        print(f"ONNX Runtime: skipped: {missing}")
        return 0
    agreed = unknown = failed = 0
    for file in sorted(os.listdir(folder)):
        verdict = disagreement(os.path.join(folder, file), np, onnx, ort)
        agreed += verdict == ""
        unknown += verdict == "unknown"
        if verdict not in ("", "unknown"):
            failed += 1
            print(f"seed {file[:-5]}: onnxruntime: {verdict}")
    print(f"ONNX Runtime: {agreed} graphs agree, {failed} do not, {unknown} use types that it has no kernel for")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
