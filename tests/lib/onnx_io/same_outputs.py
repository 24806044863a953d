"""same_outputs.py A B: every .onnx file below folder B gives bit-identical outputs to its namesake below A in ONNX Runtime.

Inputs are random; a model that ONNX Runtime does not run must fail alike on both sides, and is named.
"""
import pathlib
import sys

import numpy as np
import onnxruntime as ort

TYPES = {"float": np.float32, "double": np.float64, "float16": np.float16, "int64": np.int64, "int32": np.int32,
         "uint8": np.uint8, "int8": np.int8, "bool": np.bool_}


def session(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def feeds(s, seed, size):
    random = np.random.default_rng(seed)
    result = {}
    for i in s.get_inputs():
        dims = [d if isinstance(d, int) and d > 0 else size for d in i.shape]
        dtype = TYPES[i.type[len("tensor("):-1]]
        if np.issubdtype(dtype, np.floating):
            result[i.name] = random.random(dims).astype(dtype)
        elif i.name == "sr":  # silero: a sampling rate
            result[i.name] = np.full(dims, 16000, dtype)
        else:
            result[i.name] = random.integers(0, 2, dims).astype(dtype)
    return result


def same(a, b):
    if isinstance(a, np.ndarray) and a.dtype != object:
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return str(a) == str(b)


def outputs(path, seed, size):
    s = session(path)
    return s.run(None, feeds(s, seed, size))


def main(a, b):
    failed = ran = 0
    for path in sorted(b.rglob("*.onnx")):
        name = path.relative_to(b)
        errors = []
        for size in (1, 2, 32, 64, 512):  # for symbolic sizes: the first that runs
            try:
                expected = outputs(a / name, 1, size)
            except Exception as error:
                errors.append(str(error).splitlines()[0][:150])
                continue
            got = outputs(path, 1, size)
            equal = len(expected) == len(got) and all(map(same, expected, got))
            ran += 1
            if not equal:
                print(f"DIFFERENT  {name}")
                failed += 1
            break
        else:
            print(f"not run    {name}: {errors[0]}")
    print(f"{ran} models compared, {failed} different")
    return 1 if failed or not ran else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])))
