#!/usr/bin/env python3
"""Runs models in ONNX Runtime on given inputs and says how far given outputs are from its own.

    onnxruntime_outputs.py FOLDER

Each FOLDER/NAME.case.onnx holds initialisers `feed/INPUT` and `expected/OUTPUT` and in its doc string the path of a model.
Prints a line a model: NAME, tab, and the largest difference of an output relative to its scale; or, behind the tab, a
message. The optimizer of ONNX Runtime is off: nothing is rounded otherwise than the file says.
"""
import os
import sys

import numpy as np
import onnx
import onnxruntime as ort


def distance(actual, expected):
    if actual.shape != expected.shape or actual.dtype != expected.dtype:
        return f"is {expected.dtype}{expected.shape}, ONNX Runtime says {actual.dtype}{actual.shape}"
    a, e = actual.astype(np.float64), expected.astype(np.float64)
    same = (a == e) | (np.isnan(a) & np.isnan(e))
    if actual.dtype.kind != "f":
        return 0.0 if same.all() else f"{(~same).sum()} of {same.size} integers differ"
    finite = np.abs(a[np.isfinite(a)])
    scale = max(finite.max() if finite.size else 0, 1e-6)
    with np.errstate(invalid="ignore"):
        return float(np.where(same, 0, np.abs(a - e)).max(initial=0) / scale)


def verdict(path):
    case = onnx.load(path)
    tensors = {t.name: onnx.numpy_helper.to_array(t) for t in case.graph.initializer}
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(case.doc_string, options, providers=["CPUExecutionProvider"])
    feeds = {i.name: tensors["feed/" + i.name] for i in session.get_inputs()}
    worst = 0.0
    for output, actual in zip(session.get_outputs(), session.run(None, feeds)):
        far = distance(actual, tensors["expected/" + output.name])
        if isinstance(far, str):
            return f"output '{output.name}' {far}"
        worst = max(worst, far) if far == far else far
    return worst


def main(folder):
    for file in sorted(os.listdir(folder)):
        if not file.endswith(".case.onnx"):
            continue
        try:
            result = verdict(os.path.join(folder, file))
        except Exception as error:
            result = " ".join(str(error).split())[:300]
        print(file[: -len(".case.onnx")], result, sep="\t")


if __name__ == "__main__":
    main(sys.argv[1])
