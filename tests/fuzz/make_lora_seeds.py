"""Writes the seeds of lora_fuzz: names, types and shapes of the LoRA files of lora_file_test, a line each, and some odd ones."""
import json
import pathlib
import struct

HERE = pathlib.Path(__file__).parent
FOLDER = HERE / "seeds" / "lora"


def header(path: pathlib.Path) -> dict:
    with open(path, "rb") as file:
        return json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))


def lines(tensors: dict) -> str:
    text = [f"@{key}|{' '.join(value.split())}" for key, value in tensors.pop("__metadata__", {}).items()]
    return "\n".join(text + [f"{name}|{facts['dtype']}|{','.join(map(str, facts['shape']))}" for name, facts in tensors.items()]) + "\n"


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in sorted((HERE.parent / "unit" / "common" / "lora" / "data").glob("*.safetensors")):
        (FOLDER / path.stem).write_text(lines(header(path)))
    q = "layers.0.attention.to_q."
    odd = {
        "huge": [f"{q}lokr_w1|F32|0,4294967296", f"{q}lokr_w2|F32|4294967296,0"],
        "halves": [f"{q}lora_A|F32|2,6", f"{q}lora_up.weight|F32|6,2", f"{q}alpha|F16|", f"{q}dora_scale|BF16|1,6"],
        "foreign": ["lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight|F16|4,3072", "lora_te1_x.alpha|F16|"],
        "settings": ['@lora_adapter_metadata|{"lora_alpha": 1e308, "alpha_pattern": {"to_q": 3}}', f"{q}lora_A.weight|F32|2,6", f"{q}lora_B.weight|F32|6,2"],
    }
    for name, text in odd.items():
        (FOLDER / name).write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
