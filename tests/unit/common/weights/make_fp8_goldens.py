"""Writes data/fp8.safetensors: what torch makes of each of the 256 bytes in its two fp8 formats.

    python3 tests/unit/common/weights/make_fp8_goldens.py

needs torch and safetensors (made with 2.11.0 and 0.8.0).
"""
import pathlib

import torch
from safetensors.torch import save_file

every = torch.arange(256, dtype=torch.uint8)
save_file({"F8_E4M3": every.view(torch.float8_e4m3fn).float(), "F8_E5M2": every.view(torch.float8_e5m2).float()},
          pathlib.Path(__file__).parent / "data" / "fp8.safetensors")
