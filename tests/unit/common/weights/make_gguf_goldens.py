"""Writes data/ggml_blocks.safetensors, data/written.gguf and data/written_values.safetensors, for ggml_blocks_test and gguf_test.

Values come from the gguf package, never from us: pip install gguf==0.19.0 numpy==2.4.6 safetensors==0.8.0
"""
import pathlib

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from safetensors.numpy import save_file

FOLDER = pathlib.Path(__file__).parent / "data"

# Where each format has its halves (scales, minima), in bytes from the beginning of a block.
HALVES = {
    Type.Q8_0: [0],
    Type.Q4_0: [0],
    Type.Q4_1: [0, 2],
    Type.Q5_0: [0],
    Type.Q5_1: [0, 2],
    Type.Q2_K: [80, 82],
    Type.Q3_K: [108],
    Type.Q4_K: [0, 2],
    Type.Q5_K: [0, 2],
    Type.Q6_K: [208],
    Type.IQ4_NL: [0],
    Type.IQ4_XS: [0],
}
# Zero and minus zero, the least and greatest denormal, the least normal, the greatest of all, with either sign; a few usual ones.
SPECIAL_HALVES = [0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x83FF, 0x0400, 0x8400, 0x7BFF, 0xFBFF, 0x3C00, 0xBC00, 0x2E66, 0x9123]


def halves(random, count) -> np.ndarray:
    """Finite ones of any exponent, the special ones first."""
    bits = random.integers(0, 0x10000, count, dtype=np.uint16)
    bits = np.where((bits & 0x7C00) == 0x7C00, bits & 0x83FF, bits).astype(np.uint16)
    bits[: len(SPECIAL_HALVES)] = SPECIAL_HALVES[:count]
    return bits


def random_blocks(random, kind, blocks) -> np.ndarray:
    size = gguf.GGML_QUANT_SIZES[kind][1]
    data = random.integers(0, 256, (blocks, size), dtype=np.uint8)
    for place in HALVES[kind]:
        order = random.permutation(blocks) if place != HALVES[kind][0] else np.arange(blocks)  # pairs of any two
        data[:, place : place + 2] = halves(random, blocks)[order].view(np.uint8).reshape(blocks, 2)
    return data


def block_goldens() -> dict:
    random = np.random.default_rng(16)
    tensors = {}
    for kind in HALVES:
        data = random_blocks(random, kind, 64 if gguf.GGML_QUANT_SIZES[kind][0] == 32 else 20)
        tensors[f"{kind.name}.blocks"] = data
        tensors[f"{kind.name}.values"] = gguf.dequantize(data, kind).reshape(-1)
    half = halves(random, 2048)
    tensors["F16.blocks"] = half.view(np.uint8)
    tensors["F16.values"] = gguf.dequantize(half.view(np.uint8), Type.F16)
    bfloat = random.integers(0, 0x10000, 2048, dtype=np.uint16)
    bfloat = np.where((bfloat & 0x7F80) == 0x7F80, bfloat & 0x807F, bfloat).astype(np.uint16)
    tensors["BF16.blocks"] = bfloat.view(np.uint8)
    tensors["BF16.values"] = gguf.dequantize(bfloat.view(np.uint8), Type.BF16)
    # The package converts none of these; numpy does.
    for name, kind in {"F32": np.float32, "F64": np.float64}.items():
        numbers = (random.standard_normal(64) * 10.0 ** random.integers(-44, 38, 64)).astype(kind)
        tensors[f"{name}.blocks"] = numbers.view(np.uint8)
        tensors[f"{name}.values"] = numbers.astype(np.float32)
    for name, kind in {"I8": np.int8, "I16": np.int16, "I32": np.int32, "I64": np.int64}.items():
        limits = np.iinfo(kind)
        numbers = random.integers(limits.min, limits.max, 64, dtype=kind, endpoint=True)
        numbers[:4] = [limits.min, limits.max, 0, -1]
        tensors[f"{name}.blocks"] = numbers.view(np.uint8)
        tensors[f"{name}.values"] = numbers.astype(np.float32)
    for name, values in tensors.items():
        assert values.dtype == np.uint8 or np.isfinite(values).all(), name
    return tensors


def write_file() -> dict:
    random = np.random.default_rng(17)
    writer = gguf.GGUFWriter(FOLDER / "written.gguf", "qwen3")
    writer.add_custom_alignment(64)
    for bits in (8, 16, 32, 64):
        getattr(writer, f"add_uint{bits}")(f"test.u{bits}", 2 ** min(bits, 63) - 1)
        getattr(writer, f"add_int{bits}")(f"test.i{bits}", -(2 ** (bits - 1)))
    writer.add_uint64("test.beyond_int64", 2**64 - 1)
    writer.add_float32("test.f32", 1e-6)
    writer.add_float64("test.f64", 0.1)
    writer.add_bool("test.yes", True)
    writer.add_bool("test.no", False)
    writer.add_string("test.text", "Zwei Hälften, 二")
    writer.add_array("test.ints", [-1, 0, 7])
    writer.add_array("test.floats", [0.5, -2.25])
    writer.add_array("test.bools", [True, False, True])
    writer.add_array("test.nested", [[1, 2], [3]])
    for kind, name in [(gguf.GGUFValueType.UINT8, "u8"), (gguf.GGUFValueType.INT16, "i16"), (gguf.GGUFValueType.UINT64, "u64"), (gguf.GGUFValueType.FLOAT64, "f64")]:
        writer.add_key_value(f"test.array_{name}", [1, 2, 250], gguf.GGUFValueType.ARRAY, sub_type=kind)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(["!", "Ġa", "<|im_end|>", "[PAD3]"])
    writer.add_token_types([1, 1, 3, 5])
    writer.add_token_merges(["Ġ a", "a b"])
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)

    values = {}

    def add(name, numbers, kind):
        data = gguf.quantize(numbers, kind)
        writer.add_tensor(name, data, raw_dtype=kind)
        values[name] = gguf.dequantize(data, kind).reshape(numbers.shape)

    add("norm", random.standard_normal(5).astype(np.float32), Type.F32)
    add("half.weight", random.standard_normal((2, 3)).astype(np.float32), Type.F16)
    for kind in (Type.BF16, Type.Q8_0, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1):
        add(f"{kind.name.lower()}.weight", random.standard_normal((3, 64)).astype(np.float32), kind)
    for kind in (Type.Q2_K, Type.Q3_K, Type.Q4_K, Type.Q5_K, Type.Q6_K, Type.IQ4_XS):
        data = random_blocks(random, kind, 2)
        writer.add_tensor(f"{kind.name.lower()}.weight", data, raw_dtype=kind)
        values[f"{kind.name.lower()}.weight"] = gguf.dequantize(data, kind)
    writer.add_tensor("convolution", np.arange(2 * 3 * 2 * 2, dtype=np.float32).reshape(2, 3, 2, 2))
    values["convolution"] = np.arange(2 * 3 * 2 * 2, dtype=np.float32).reshape(2, 3, 2, 2)
    writer.add_tensor("other.weight", random.integers(0, 256, (1, 66), dtype=np.uint8), raw_dtype=Type.IQ2_XXS)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return values


def main():
    FOLDER.mkdir(exist_ok=True)
    save_file(block_goldens(), FOLDER / "ggml_blocks.safetensors", {"gguf": "0.19.0"})
    save_file(write_file(), FOLDER / "written_values.safetensors", {"gguf": "0.19.0"})


if __name__ == "__main__":
    main()
