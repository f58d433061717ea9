"""Writes the seeds of gguf_fuzz: small whole files (common/weights/gguf.h), and some that are nearly whole."""
import pathlib
import struct

FOLDER = pathlib.Path(__file__).parent / "seeds" / "gguf"
U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
FORMATS = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "?", U64: "Q", I64: "q", F64: "d"}
# Number, elements and bytes of a block.
TYPES = [(0, 1, 4), (1, 1, 2), (2, 32, 18), (3, 32, 20), (6, 32, 22), (7, 32, 24), (8, 32, 34), (10, 256, 84), (11, 256, 110), (12, 256, 144),
         (13, 256, 176), (14, 256, 210), (20, 32, 18), (23, 256, 136), (24, 1, 1), (25, 1, 2), (26, 1, 4), (27, 1, 8), (28, 1, 8), (30, 1, 2),
         (16, 256, 66), (39, 32, 17)]


def text(words: str) -> bytes:
    return struct.pack("<Q", len(words.encode())) + words.encode()


def value(kind: int, content) -> bytes:
    return text(content) if kind == STRING else struct.pack("<" + FORMATS[kind], content)


def array(kind: int, contents) -> bytes:
    return struct.pack("<IQ", kind, len(contents)) + b"".join(value(kind, content) for content in contents)


def entry(key: str, kind: int, content: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + content


def tensor(name: str, ne, kind: int, offset: int) -> bytes:
    return text(name) + struct.pack(f"<I{len(ne)}QIQ", len(ne), *ne, kind, offset)


def gguf(entries=(), tensors=(), data=b"", version=3, alignment=32) -> bytes:
    header = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(entries)) + b"".join(entries) + b"".join(tensors)
    return header + b"\0" * (-len(header) % alignment) + data


def every_type() -> bytes:
    tensors, data = [], b""
    for number, elements, size in TYPES:
        tensors.append(tensor(f"t{number}", [elements], number, len(data)))
        data += bytes(range(1, size % 256 + 1)) + b"\0" * (-size % 32)
    return gguf(tensors=tensors, data=data)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    matrix = tensor("w", [32, 2], 8, 0)
    numbers = [entry(f"n{kind}", kind, value(kind, 1)) for kind in FORMATS]
    arrays = [entry(f"a{kind}", ARRAY, array(kind, [1, 0, 1])) for kind in FORMATS]
    nested = struct.pack("<IQ", ARRAY, 2) + array(U16, [1, 2]) + array(STRING, ["a"])
    tokenizer = [
        entry("tokenizer.ggml.model", STRING, text("gpt2")),
        entry("tokenizer.ggml.tokens", ARRAY, array(STRING, ["a", "b", "ab", "<|im_end|>", "[PAD4]"])),
        entry("tokenizer.ggml.token_type", ARRAY, array(I32, [1, 1, 1, 3, 5])),
        entry("tokenizer.ggml.merges", ARRAY, array(STRING, ["a b"])),
        entry("tokenizer.ggml.eos_token_id", U32, value(U32, 3)),
    ]
    seeds = {
        "nothing": gguf(),
        "every_type": every_type(),
        "numbers": gguf(numbers),
        "arrays": gguf(arrays),
        "nested": gguf([entry("k", ARRAY, nested)]),
        "tokenizer": gguf(tokenizer, [matrix], bytes(68)),
        "aligned_to_8": gguf([entry("general.alignment", U32, value(U32, 8))], [matrix], bytes(68), alignment=8),
        "version_2": gguf(tensors=[matrix], data=bytes(68), version=2),
        "sharing": gguf(tensors=[tensor("a", [4], 0, 0), tensor("b", [2, 2], 0, 0), tensor("c", [], 0, 4), tensor("d", [0], 0, 0)], data=bytes(16)),
        "beyond": gguf(tensors=[tensor("a", [4], 0, 1 << 40)], data=bytes(16)),
        "overflowing_shape": gguf(tensors=[tensor("a", [1 << 33, 1 << 31], 0, 0)], data=bytes(16)),
        "many_tensors": b"GGUF" + struct.pack("<IQQ", 3, 10**9, 10**12),
    }
    for name, data in seeds.items():
        (FOLDER / name).write_bytes(data)


if __name__ == "__main__":
    main()
