"""Random blocks of every GGUF layout and the values that the PyPI package `gguf` dequantises them to.

    pip install gguf numpy
    python test/python/gguf_blocks.py test/golden/gguf-blocks        # writes blocks.gguf, values.safetensors, made-with.json
    python test/python/gguf_blocks.py --seed 7 FOLDER                # other blocks
    python test/python/gguf_blocks.py --of MODEL.gguf NAME OUT.bin   # the float32 values of one tensor of a real file

The blocks are random bytes, so that scales take every sign, size, infinity and NaN that float16 has.
"""
import argparse
import importlib.metadata
import json
import pathlib
import struct

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

BLOCK_TYPES = [Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0, Type.Q4_K, Type.Q5_K, Type.Q6_K]
DIMS = [3, 512]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--of", nargs=3, metavar=("MODEL", "NAME", "OUT"))
    parser.add_argument("folder", nargs="?")
    args = parser.parse_args()
    if args.of:
        write_one(*args.of)
    else:
        write_blocks(pathlib.Path(args.folder), args.seed)


def write_one(model, name, out):
    reader = gguf.GGUFReader(model)
    tensor = next(t for t in reader.tensors if t.name == name)
    gguf.dequantize(tensor.data, tensor.tensor_type).astype("<f4").tofile(out)


def write_blocks(folder, seed):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(str(folder / "blocks.gguf"), "test")
    writer.add_array("test.texts", ["", "é", "\ufeffmark", "😀"])
    writer.add_array("test.numbers", [1, -2, 3])
    writer.add_uint64("test.large", 2**63 + 1)
    writer.add_int64("test.exact", -(2**40))
    writer.add_float32("test.float", 1e-5)
    writer.add_float64("test.double", 0.1)
    writer.add_bool("test.yes", True)
    values = {}
    for type_ in BLOCK_TYPES:
        elements, size = gguf.GGML_QUANT_SIZES[type_]
        data = rng.integers(0, 256, (DIMS[0], DIMS[1] // elements * size), dtype=np.uint8)
        writer.add_tensor(type_.name, data, raw_dtype=type_)
        with np.errstate(all="ignore"):
            values[type_.name] = gguf.dequantize(data, type_)
        assert values[type_.name].shape == tuple(DIMS)
    bits = rng.integers(0, 65536, (2, 5), dtype=np.uint16)
    writer.add_tensor("BF16", bits.view(np.uint8), raw_dtype=Type.BF16)
    values["BF16"] = (bits.astype(np.uint32) << 16).view(np.float32)
    writer.add_tensor("F16", bits.view(np.float16))
    values["F16"] = bits.view(np.float16).astype(np.float32)
    values["F32"] = rng.standard_normal((2, 3, 4)).astype(np.float32)
    writer.add_tensor("F32", values["F32"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    write_safetensors(folder / "values.safetensors", values)
    versions = {name: importlib.metadata.version(name) for name in ["gguf", "numpy"]}
    (folder / "made-with.json").write_text(
        json.dumps({"script": "test/python/gguf_blocks.py", "seed": seed, **versions}) + "\n"
    )


def write_safetensors(path, arrays):
    header, at = {}, 0
    for name, array in arrays.items():
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    body = b"".join(np.ascontiguousarray(array, "<f4").tobytes() for array in arrays.values())
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


if __name__ == "__main__":
    main()
