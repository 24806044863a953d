"""onnxruntime_data.py MODEL FOLDER [BATCH]: runs the model in ONNX Runtime on random inputs and writes input_<i>.pb and
output_<i>.pb (TensorProto, in the order of the graph) to the folder. Symbolic sizes become BATCH, 2 where none is given.
"""
import pathlib
import sys

import numpy as np
import onnxruntime as ort

TYPES = {"float": np.float32, "double": np.float64, "int64": np.int64, "int32": np.int32, "uint8": np.uint8}
NUMBERS = {np.dtype(np.float32): 1, np.dtype(np.uint8): 2, np.dtype(np.int32): 6, np.dtype(np.int64): 7,
           np.dtype(np.bool_): 9, np.dtype(np.float64): 11}


def varint(n):
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def tensor_proto(array):
    """dims = 1, data_type = 2, raw_data = 9, written by hand: the package onnx need not be there."""
    dims = b"".join(b"\x08" + varint(d) for d in array.shape)
    raw = np.ascontiguousarray(array).tobytes()
    return dims + b"\x10" + varint(NUMBERS[array.dtype]) + b"\x4a" + varint(len(raw)) + raw


def main(model, folder, batch=2):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(1)
    feeds = {}
    for i, node in enumerate(session.get_inputs()):
        dims = [d if isinstance(d, int) and d > 0 else int(batch) for d in node.shape]
        dtype = TYPES[node.type[len("tensor("):-1]]
        value = random.random(dims) if np.issubdtype(dtype, np.floating) else random.integers(0, 2, dims)
        feeds[node.name] = np.asarray(value, dtype)
        (folder / f"input_{i}.pb").write_bytes(tensor_proto(feeds[node.name]))
    for i, value in enumerate(session.run(None, feeds)):
        (folder / f"output_{i}.pb").write_bytes(tensor_proto(np.asarray(value)))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), *sys.argv[3:])
