"""Writes the toy checkpoints and the parity goldens, all from the reference implementations.

    python make_goldens.py [--out tests/parity/data]

Everything is computed on the CPU with one thread and fixed seeds. "fp32" means weights upcast to fp32 and computed there, so the
goldens of toy_b (stored in bf16) are exact statements about its stored weights. README.md lists what each file holds.
"""

import argparse
import hashlib
import json
import os
import shutil
import tempfile
import warnings
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"

import diffusers
import numpy
import PIL
import torch
import transformers
from diffusers import (
    AutoencoderKL, FlowMatchEulerDiscreteScheduler, ZImageImg2ImgPipeline, ZImageInpaintPipeline, ZImagePipeline,
    ZImageTransformer2DModel)
from diffusers.image_processor import VaeImageProcessor
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.pipelines.z_image.pipeline_z_image import (
    calculate_shift, get_default_z_image_sigmas, retrieve_timesteps)
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, Qwen3ForCausalLM

import token_cases
from toy_checkpoints import TOYS, Toy, save_checkpoint

SIZE_LIMIT = 7_000_000  # bytes, everything under data/ together


def noise(shape: tuple, seed: int, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def save_golden(path: Path, tensors: dict, about: dict) -> None:
    """One safetensors file; `about` goes into the header as JSON under the key "json"."""
    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
    assert all(torch.isfinite(tensor.float()).all() for tensor in tensors.values()), path
    modules = (diffusers, torch, transformers) + ((PIL,) if "pictures" in about else ())
    versions = {module.__name__: module.__version__ for module in modules}
    save_file(tensors, path, metadata={"json": json.dumps({**about, "made_by": versions}, sort_keys=True)})


# ---------------------------------------------------------------- tokenizer

def golden_tokens(folder: Path) -> None:
    """Ids of every case; of the 10 000-character prompts only count and digest."""
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    cases = [{"text": text, "ids": tokenizer(text).input_ids} for text in token_cases.all_texts()]
    for unit, times in token_cases.LONG_TEXTS:
        ids = tokenizer(unit * times).input_ids
        digest = hashlib.sha256(",".join(map(str, ids)).encode()).hexdigest()
        cases.append({"repeat": [unit, times], "count": len(ids), "sha256": digest})
    lines = ",\n".join(json.dumps(case, ensure_ascii=True, separators=(",", ":")) for case in cases)
    (folder / "golden_tokens.json").write_text(f"[\n{lines}\n]\n")


def added_token(content: str, **flags) -> dict:
    return {"content": content, "lstrip": False, "rstrip": False, "single_word": False, "normalized": False,
            "special": False, **flags}


# Each: a merge patch of tokenizer_config.json (null removes), files beside it, texts. toy_a has the ids 0 to 999.
ADDED_TOKEN_CASES = [
    ({"added_tokens_decoder": {"1000": added_token("<sks>")}}, {}, ["a <sks> cat", "<sks><sks>", "a<|im_end|><sks>"]),
    ({"added_tokens_decoder": {"1000": {"content": "<sks>"}}}, {}, ["a <sks> cat"]),
    ({"added_tokens_decoder": {"1040": added_token("<b2>"), "1030": added_token("<a1>")}}, {}, ["<a1> <b2>"]),
    ({"added_tokens_decoder": {
        "1000": added_token("<l>", lstrip=True), "1001": added_token("<r>", rstrip=True),
        "1002": added_token("<w>", single_word=True), "1003": added_token("<n\u00e9>", normalized=True),
        "1004": added_token("<o\u0301>", normalized=True), "1005": added_token("sks", single_word=True),
        "1006": added_token("<b>", lstrip=True, rstrip=True, special=True)}}, {},
     ["a <l>  cat", "a \t\n <l> cat", "a <r>   cat", "<r> \u3000<l>x", "a <b> b  <b>  <b>c", "ca<w>t <w> x <w>", "<w>_", "<w>\u0301",
      "<w>-", "\u24b6<w>", "\u00b2<w>\u00b2", "<n\u00e9> <ne\u0301>", "<o\u0301><\u00f3>", "sks sksx xsks sks", "e\u0301sks"]),
    ({"eos_token": "<eos!>"}, {}, ["a  <eos!>  cat <|im_end|>"]),
    ({"eos_token": {"__type": "AddedToken", "content": "<e>", "lstrip": True, "rstrip": True, "single_word": True,
                    "normalized": False}}, {}, ["x  <e>  y", "<e>z"]),
    ({"unk_token": "<u>", "eos_token": "<e>", "pad_token": "<p>", "bos_token": "<b>", "image_token": "<i>",
      "additional_special_tokens": ["<x1>"]}, {}, ["<u><e><p><b><i><x1>"]),
    ({"mask_token": "<m>", "sep_token": "<s>", "cls_token": "<c>", "extra_special_tokens": ["<x2>", "<x1>"]}, {},
     ["<m><s><c><x1><x2>"]),
    ({"extra_special_tokens": {"foo_token": "<x2>", "bar": "<x1>"}}, {}, ["a <x1> <x2> cat"]),
    ({}, {"added_tokens.json": {"<sks>": 1000}}, ["a <sks> cat"]),
    ({}, {"special_tokens_map.json": {"eos_token": "<e>"}}, ["a <e> cat"]),
    ({"added_tokens_decoder": None}, {"added_tokens.json": {"<sks>": 1000}}, ["a <sks> <|im_end|> cat", "<think>"]),
    ({"added_tokens_decoder": None}, {"added_tokens.json": {"<N\u00e9>": 1000}}, ["x <N\u00e9> <Ne\u0301> y"]),
    ({"added_tokens_decoder": None}, {"special_tokens_map.json": {
        "eos_token": {"content": "<e>", "lstrip": True, "rstrip": True, "normalized": False, "single_word": False}}},
     ["x  <e>  y"]),
    ({"added_tokens_decoder": None}, {"special_tokens_map.json": {"extra_special_tokens": ["<x1>"]}}, ["x <x1> y"]),
]


def merge_patch(target: dict, patch: dict) -> dict:
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        else:
            target[key] = merge_patch(target.get(key, {}), value) if isinstance(value, dict) and isinstance(
                target.get(key), dict) else value
    return target


def golden_added_tokens(out: Path) -> None:
    """Ids where other files than tokenizer.json name added tokens, with toy_a's tokenizer as the start."""
    cases = []
    for patch, files, texts in ADDED_TOKEN_CASES:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "tokenizer"
            shutil.copytree(out / "toy_a" / "tokenizer", folder)
            config = folder / "tokenizer_config.json"
            config.write_text(json.dumps(merge_patch(json.loads(config.read_text()), patch)))
            for name, content in files.items():
                (folder / name).write_text(json.dumps(content))
            tokenizer = AutoTokenizer.from_pretrained(folder)
            cases.append({"config": patch, "files": files, "texts": [[text, tokenizer(text).input_ids] for text in texts]})
    (out / "golden_added_tokens.json").write_text("[\n" + ",\n".join(map(json.dumps, cases)) + "\n]\n")


# ---------------------------------------------------------------- text encoder

def golden_text(folder: Path) -> None:
    """Hidden states of three framed prompts, and the last row of logits, which tells tied from untied weights."""
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    full = Qwen3ForCausalLM.from_pretrained(folder / "text_encoder", dtype=torch.float32)
    half = Qwen3ForCausalLM.from_pretrained(folder / "text_encoder", dtype=torch.bfloat16)
    tensors = {}
    for index, prompt in enumerate(token_cases.ENCODER_PROMPTS):
        ids = tokenizer(token_cases.FRAME.format(prompt), return_tensors="pt").input_ids
        output = full(input_ids=ids, output_hidden_states=True)
        tensors[f"p{index}.ids"] = ids[0]
        for layer, state in enumerate(output.hidden_states):
            tensors[f"p{index}.hidden.{layer}"] = state[0]
        tensors[f"p{index}.logits"] = output.logits[0, -1]
        tensors[f"p{index}.bf16.hidden.-2"] = half(input_ids=ids, output_hidden_states=True).hidden_states[-2][0]
    save_golden(folder / "golden_text.safetensors", tensors, {"prompts": token_cases.ENCODER_PROMPTS, "frame": token_cases.FRAME})


# ---------------------------------------------------------------- transformer

# Latent (h, w), caption rows and t. 30 image tokens and 37 caption rows need pads; 32 and 32 need none.
DIT_CASES = [((10, 12), 37, 0.357142895), ((8, 16), 32, 0.0)]


class DitTaps:
    """Records the named intermediate values of one transformer call.

    The inputs of the first refiner blocks are the embeddings after the pad rows were replaced, which no module returns.
    """

    def __init__(self, model: ZImageTransformer2DModel):
        self.values, self.handles = {}, []
        self._output("t_embedder", model.t_embedder)
        self._input("x_embedder", model.noise_refiner[0])
        self._input("cap_embedder", model.context_refiner[0])
        for stack in ("noise_refiner", "context_refiner", "layers"):
            for index, block in enumerate(getattr(model, stack)):
                self._output(f"{stack}.{index}", block)

    def _output(self, name, module):
        self.handles.append(module.register_forward_hook(lambda _, args, output: self._keep(name, output)))

    def _input(self, name, module):
        self.handles.append(module.register_forward_pre_hook(lambda _, args: self._keep(name, args[0])))

    def _keep(self, name, value):
        self.values[name] = value[0].clone()  # without the batch axis

    def remove(self):
        for handle in self.handles:
            handle.remove()


def run_dit(model: ZImageTransformer2DModel, latent: torch.Tensor, t: torch.Tensor, cap: torch.Tensor) -> torch.Tensor:
    """Calls the transformer as the pipeline does; raw sign, [16, 1, h, w]."""
    return model([latent.to(model.dtype)], t.reshape(1), [cap.to(model.dtype)], return_dict=False)[0][0]


def golden_dit(toy: Toy, folder: Path) -> None:
    """Inputs, taps and output of the transformer for padded and unpadded sequences."""
    full = ZImageTransformer2DModel.from_pretrained(folder / "transformer", dtype=torch.float32)
    half = ZImageTransformer2DModel.from_pretrained(folder / "transformer", dtype=torch.bfloat16)
    tensors = {}
    for index, ((height, width), rows, t) in enumerate(DIT_CASES):
        latent = noise((16, 1, height, width), 100 * toy.seed + index)
        cap = noise((rows, toy.dit["cap_feat_dim"]), 100 * toy.seed + 10 + index, scale=3.0)
        time = torch.tensor(t, dtype=torch.float32)
        taps = DitTaps(full)
        output = run_dit(full, latent, time, cap)
        taps.remove()
        values = {"latent": latent, "cap": cap, "t": time, **taps.values, "output": output,
                  "bf16.output": run_dit(half, latent, time, cap)}
        tensors |= {f"c{index}.{name}": value for name, value in values.items()}
    save_golden(folder / "golden_dit.safetensors", tensors, {"about": "t is the model's t_in; output has the raw sign"})


# ---------------------------------------------------------------- VAE

def decoder_taps(vae: AutoencoderKL, z: torch.Tensor) -> dict:
    """All stages of the decoder for the unscaled latent z."""
    values, handles = {}, []
    stages = {"conv_in": vae.decoder.conv_in, "mid_block": vae.decoder.mid_block, "conv_norm_out": vae.decoder.conv_norm_out}
    stages |= {f"up_blocks.{index}": block for index, block in enumerate(vae.decoder.up_blocks)}
    for name, module in stages.items():
        handles.append(module.register_forward_hook(lambda _, args, output, name=name: values.update({name: output.clone()})))
    values["output"] = decode(vae, z)
    for handle in handles:
        handle.remove()
    return values


def decode(vae: AutoencoderKL, z: torch.Tensor) -> torch.Tensor:
    return vae.decode(z / vae.config.scaling_factor + vae.config.shift_factor, return_dict=False)[0]


def golden_vae(toy: Toy, folder: Path) -> None:
    """A whole decode larger than one tile, every stage of a small one, and an encode (moments: mean, then log variance)."""
    vae = AutoencoderKL.from_pretrained(folder / "vae", dtype=torch.float32)
    z, small = noise((1, 16, 12, 20), 200 * toy.seed), noise((1, 16, 4, 6), 200 * toy.seed + 1)
    image = noise((1, 3, 32, 48), 200 * toy.seed + 2, scale=0.5).clamp(-1, 1)
    tensors = {"z": z, "output": decode(vae, z), "small.z": small}
    tensors |= {f"small.{name}": value for name, value in decoder_taps(vae, small).items()}
    tensors |= {"encode.image": image, "encode.moments": vae.encode(image, return_dict=False)[0].parameters}
    save_golden(folder / "golden_vae.safetensors", tensors, {
        "about": "the decoder's input is z / scaling_factor + shift_factor",
        "scaling_factor": vae.config.scaling_factor, "shift_factor": vae.config.shift_factor})


def drawn_picture(width: int, height: int, seed: int) -> torch.Tensor:
    """Something to start from, uint8 [height, width, 3]: a slope of colour, a disc and a little noise."""
    y, x = torch.meshgrid(torch.arange(height) / height, torch.arange(width) / width, indexing="ij")
    slope = torch.stack([x, y, 1 - (x + y) / 2], dim=-1)
    disc = ((x - 0.4) ** 2 + (y - 0.55) ** 2 < 0.06).unsqueeze(-1)
    colour = torch.tensor([0.9, 0.2, 0.1]).roll(seed % 3)
    values = torch.where(disc, colour, slope) + noise((height, width, 3), seed, scale=0.05)
    return (values.clamp(0, 1) * 255).round().to(torch.uint8)


def encoder_taps(vae: AutoencoderKL, image: torch.Tensor) -> dict:
    """All stages of the encoder."""
    values, handles = {}, []
    stages = {"conv_in": vae.encoder.conv_in, "mid_block": vae.encoder.mid_block, "conv_norm_out": vae.encoder.conv_norm_out}
    stages |= {f"down_blocks.{index}": block for index, block in enumerate(vae.encoder.down_blocks)}
    for name, module in stages.items():
        handles.append(module.register_forward_hook(lambda _, args, output, name=name: values.update({name: output.clone()})))
    values["output"] = vae.encode(image, return_dict=False)[0].parameters
    for handle in handles:
        handle.remove()
    return values


# Pixels of a tile, its latent pixels, and the part of it that neighbours share: tiles begin each 48 pixels.
ENCODE_TILES = dict(tile_sample_min_size=64, tile_latent_min_size=8, tile_overlap_factor=0.25)


def golden_vae_encode(toy: Toy, folder: Path) -> None:
    """Every stage of a small encode, a tiled one whose last column of tiles is narrower than the seam, and a posterior."""
    vae = AutoencoderKL.from_pretrained(folder / "vae", dtype=torch.float32)
    small, large = drawn_picture(48, 32, 300 * toy.seed), drawn_picture(104, 88, 300 * toy.seed + 1)
    as_image = lambda picture: VaeImageProcessor().preprocess(Image.fromarray(picture.numpy()))
    tensors = {"small.picture": small, "small.image": as_image(small)}
    tensors |= {f"small.{name}": value for name, value in encoder_taps(vae, as_image(small)).items()}
    posterior = vae.encode(as_image(small), return_dict=False)[0]
    sample = posterior.sample(torch.Generator().manual_seed(5))
    tensors["small.sample"] = (sample - vae.config.shift_factor) * vae.config.scaling_factor
    far = torch.cat([torch.zeros(1, 1, 1, 4), torch.tensor([-1e4, -31.0, 20.5, 1e4]).reshape(1, 1, 1, 4)], dim=1)
    tensors |= {"clamped.moments": far, "clamped.deviation": DiagonalGaussianDistribution(far).std}
    tensors |= {"tiled.picture": large, "tiled.whole": vae.encode(as_image(large), return_dict=False)[0].parameters}
    vae.enable_tiling()
    for name, value in ENCODE_TILES.items():
        setattr(vae, name, value)
    tensors["tiled.moments"] = vae.encode(as_image(large), return_dict=False)[0].parameters
    assert tensors["tiled.moments"].shape == tensors["tiled.whole"].shape
    assert not torch.allclose(tensors["tiled.moments"], tensors["tiled.whole"], atol=1e-3)
    save_golden(folder / "golden_vae_encode.safetensors", tensors, {
        "about": "sample is the scaled latent of seed 5", "tiles": ENCODE_TILES, "pictures": "of their own size"})


# ---------------------------------------------------------------- pipeline

# keep_steps: also store the latents after every step. A case without `negative` leaves the pipeline its default.
PIPELINE_CASES = {
    "plain": dict(prompt="A cat", seed=0, width=64, height=64, steps=4, guidance=0.0, keep_steps=True),
    "wide": dict(prompt=token_cases.ENCODER_PROMPTS[1], seed=42, width=96, height=80, steps=9, guidance=0.0),
    "guided": dict(prompt=token_cases.ENCODER_PROMPTS[2], negative="blurry, a dog", seed=7, width=80, height=96,
                   steps=4, guidance=3.0),
    "guided_default_negative": dict(prompt="A cat", seed=2**32 + 42, width=64, height=48, steps=4, guidance=1.5),
    "normalized_truncated": dict(prompt="A cat", negative="a red fox, 狐狸", seed=3, width=64, height=64, steps=9,
                                 guidance=3.0, normalization=True, truncation=0.5),
}


def run_pipeline(pipe: ZImagePipeline, case: dict) -> dict:
    """One picture with everything that led to it."""
    latents, first, captions = [], [], []
    prepare, encode = pipe.prepare_latents, pipe.encode_prompt

    def keep_first(*args, **kwargs):
        first.append(prepare(*args, **kwargs).clone())
        return first[0]

    def keep_captions(*args, **kwargs):
        captions.extend(encode(*args, **kwargs))
        return captions

    def keep_step(pipeline, step, timestep, values):
        latents.append(values["latents"].clone())
        return {}

    pipe.prepare_latents, pipe.encode_prompt = keep_first, keep_captions
    try:
        image = pipe(
            prompt=case["prompt"], negative_prompt=case.get("negative"), width=case["width"], height=case["height"],
            num_inference_steps=case["steps"], guidance_scale=case["guidance"], output_type="pil",
            cfg_normalization=case.get("normalization", False), cfg_truncation=case.get("truncation", 1.0),
            generator=torch.Generator("cpu").manual_seed(case["seed"]), callback_on_step_end=keep_step).images[0]
    finally:
        pipe.prepare_latents, pipe.encode_prompt = prepare, encode

    values = {"initial_noise": first[0], "cap": captions[0][0], "latents": latents[-1],
              "pixels": torch.from_numpy(numpy.array(image))}
    if captions[1]:
        values["negative_cap"] = captions[1][0]
    if case.get("keep_steps"):
        values |= {f"step.{index}": value for index, value in enumerate(latents)}
    return values


def golden_pipeline(toy: Toy, folder: Path) -> None:
    """Whole pictures in fp32, from prompt to 8-bit pixels."""
    pipe = ZImagePipeline.from_pretrained(folder, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    tensors, about = {}, {}
    for name, case in PIPELINE_CASES.items():
        values = run_pipeline(pipe, case)
        check_picture(case, values)
        tensors |= {f"{name}.{key}": value for key, value in values.items()}
        defaults = dict(negative=None, normalization=False, truncation=1.0, shift=toy.shift)
        about[name] = {**defaults, **{key: value for key, value in case.items() if key != "keep_steps"}}
    check_guidance_matters(pipe, tensors)
    save_golden(folder / "golden_pipeline.safetensors", tensors, {"cases": about})


def check_picture(case: dict, values: dict) -> None:
    """A picture of the asked size that is not one colour, and noise that is the plain CPU draw of the seed."""
    pixels = values["pixels"]
    assert pixels.dtype == torch.uint8 and pixels.shape == (case["height"], case["width"], 3)
    assert pixels.float().std() > 10
    assert torch.equal(values["initial_noise"], noise(tuple(values["initial_noise"].shape), case["seed"]))


def check_guidance_matters(pipe: ZImagePipeline, tensors: dict) -> None:
    """Normalisation and truncation must each change their case, or the golden would not test them."""
    case = PIPELINE_CASES["normalized_truncated"]
    for switched_off in ({"normalization": False}, {"truncation": 1.0}):
        other = run_pipeline(pipe, {**case, **switched_off})
        assert (other["latents"] - tensors["normalized_truncated.latents"]).abs().max() > 0.01, switched_off


# ---------------------------------------------------------------- from a picture

# evaluations: what is left of the steps at this strength. A case with `mask` is an inpaint. Pictures and masks have the size
# asked for: how they are resized is another matter, with other goldens.
FROM_PICTURE_CASES = {
    "plain": dict(prompt="A cat", seed=0, width=64, height=48, steps=8, strength=0.6, evaluations=5, guidance=0.0,
                  keep_steps=True),
    "faint": dict(prompt="A cat", seed=1, width=64, height=48, steps=8, strength=0.05, evaluations=1, guidance=0.0),
    "whole": dict(prompt="A cat", seed=2, width=64, height=48, steps=4, strength=1.0, evaluations=4, guidance=0.0),
    "guided": dict(prompt="A cat", negative="blurry, a dog", seed=2**32 + 7, width=48, height=80, steps=9, strength=0.7,
                   evaluations=7, guidance=3.0),
    "normalized_truncated": dict(prompt="A cat", negative="blurry, a dog", seed=3, width=64, height=48, steps=9,
                                 strength=0.6, evaluations=6, guidance=3.0, normalization=True, truncation=0.5),
    "inpaint": dict(prompt="A cat", seed=4, width=64, height=48, steps=8, strength=1.0, evaluations=8, guidance=0.0,
                    mask=True, keep_steps=True),
    "inpaint_part": dict(prompt="A cat", seed=5, width=64, height=48, steps=8, strength=0.6, evaluations=5, guidance=0.0,
                         mask=True),
    "inpaint_guided": dict(prompt="A cat", negative="blurry, a dog", seed=6, width=48, height=80, steps=9, strength=0.7,
                           evaluations=7, guidance=3.0, mask=True),
}


def drawn_mask(width: int, height: int, seed: int) -> torch.Tensor:
    """uint8 [height, width]: patches of 5 x 7 pixels, which no latent pixel follows, black, white and both sides of the bound."""
    values = torch.tensor([0, 127, 128, 255], dtype=torch.uint8)
    chosen = torch.randint(4, (height // 7 + 1, width // 5 + 1), generator=torch.Generator().manual_seed(seed))
    return values[chosen].repeat_interleave(7, 0).repeat_interleave(5, 1)[:height, :width].contiguous()


def run_from_picture(pipes: dict, case: dict, picture: torch.Tensor | None = None, mask: torch.Tensor | None = None) -> dict:
    """One picture made from another one, drawn unless it is given, with everything that led to it."""
    masked = case.get("mask", False)
    pipe = pipes["inpaint" if masked else "img2img"]
    values, latents = {}, []
    if picture is None:
        picture = drawn_picture(case["width"], case["height"], case["seed"])
    values["picture"] = picture
    inputs = {"image": Image.fromarray(picture.numpy())}
    if masked:
        values["mask"] = drawn_mask(case["width"], case["height"], case["seed"]) if mask is None else mask
        inputs["mask_image"] = Image.fromarray(values["mask"].numpy())
    prepare, encode = pipe.prepare_latents, pipe.encode_prompt

    def keep_start(*args, **kwargs):
        prepared = prepare(*args, **kwargs)
        if masked:
            values["start"], values["noise"], values["clean"] = (value.clone() for value in prepared)
        else:
            values["start"] = prepared.clone()
        return prepared

    def keep_captions(*args, **kwargs):
        captions = encode(*args, **kwargs)
        values["cap"] = captions[0][0]
        if captions[1]:
            values["negative_cap"] = captions[1][0]
        return captions

    def keep_step(pipeline, step, timestep, found):
        latents.append(found["latents"].clone())
        return {}

    pipe.prepare_latents, pipe.encode_prompt = keep_start, keep_captions
    try:
        image = pipe(
            prompt=case["prompt"], negative_prompt=case.get("negative"), strength=case["strength"],
            num_inference_steps=case["steps"], guidance_scale=case["guidance"], output_type="pil",
            cfg_normalization=case.get("normalization", False), cfg_truncation=case.get("truncation", 1.0),
            generator=torch.Generator("cpu").manual_seed(case["seed"]), callback_on_step_end=keep_step, **inputs).images[0]
    finally:
        pipe.prepare_latents, pipe.encode_prompt = prepare, encode
    assert len(latents) == case["evaluations"], (case, len(latents))
    values |= {"latents": latents[-1], "pixels": torch.from_numpy(numpy.array(image))}
    if case.get("keep_steps"):
        values |= {f"step.{index}": value for index, value in enumerate(latents[:-1])}
    return values


def round_trip(vae: AutoencoderKL, seed: int) -> dict:
    """What strength 0 is, which the pipeline refuses: encoded, sampled and decoded."""
    picture = drawn_picture(64, 48, seed)
    image = VaeImageProcessor().preprocess(Image.fromarray(picture.numpy()))
    sample = vae.encode(image, return_dict=False)[0].sample(torch.Generator().manual_seed(seed))
    latents = (sample - vae.config.shift_factor) * vae.config.scaling_factor
    pixels = VaeImageProcessor().postprocess(decode(vae, latents), output_type="pil")[0]
    return {"picture": picture, "latents": latents, "pixels": torch.from_numpy(numpy.array(pixels))}


def from_picture_pipes(folder: Path) -> dict:
    parts = ZImagePipeline.from_pretrained(folder, dtype=torch.float32).components
    pipes = {"img2img": ZImageImg2ImgPipeline(**parts), "inpaint": ZImageInpaintPipeline(**parts)}
    for pipe in pipes.values():
        pipe.set_progress_bar_config(disable=True)
    return pipes


def golden_from_picture(toy: Toy, folder: Path) -> None:
    """Whole pictures in fp32 that begin as another one, in part or all over."""
    pipes = from_picture_pipes(folder)
    tensors = {f"round_trip.{name}": value for name, value in round_trip(pipes["img2img"].vae, 8).items()}
    about = {}
    for name, case in FROM_PICTURE_CASES.items():
        values = run_from_picture(pipes, case)
        assert values["pixels"].shape == (case["height"], case["width"], 3) and values["pixels"].float().std() > 10
        check_from_picture(pipes, case, values)
        for caption in ("cap", "negative_cap"):  # the same in each case
            if caption in values:
                tensors[caption] = values.pop(caption)
        if not case.get("keep_steps"):
            values.pop("start"), values.pop("noise", None), values.pop("clean", None)
        tensors |= {f"{name}.{key}": value for key, value in values.items()}
        defaults = dict(negative=None, normalization=False, truncation=1.0, shift=toy.shift, mask=False)
        about[name] = {**defaults, **{key: value for key, value in case.items() if key != "keep_steps"}}
    save_golden(folder / "golden_from_picture.safetensors", tensors, {"cases": about, "pictures": "of the size asked for"})


def check_from_picture(pipes: dict, case: dict, values: dict) -> None:
    """Other masks and, but for a start from noise alone, other pictures make other results; what is kept is the source."""
    other = {**case, "seed": case["seed"] + 1}
    assert (run_from_picture(pipes, other)["latents"] - values["latents"]).abs().max() > 0.01
    if "mask" in values:
        kept = (values["mask"][::8, ::8] < 128).expand(1, 16, -1, -1)
        assert 0.2 < kept.float().mean() < 0.8
        assert torch.equal(values["latents"][kept], values["clean"][kept])


# The demo model's pictures at 9 steps: a plain one, one of a shape and colour never trained together, and another size.
DEMO_CASES = {
    "rows": dict(prompt="two green squares above a yellow triangle", seed=1, width=128, height=128, steps=9, guidance=0.0),
    "unseen": dict(prompt="a red star on a blue background", seed=2, width=128, height=128, steps=9, guidance=0.0),
    "wide": dict(prompt="a purple ring to the left of an orange heart", seed=3, width=128, height=96, steps=9, guidance=0.0),
}


def golden_demo(model: Path, out: Path) -> None:
    """Pictures of the demo model in fp32, from prompt to 8-bit pixels."""
    pipe = ZImagePipeline.from_pretrained(model, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    tensors = {}
    for name, case in DEMO_CASES.items():
        values = run_pipeline(pipe, case)
        check_picture(case, values)
        tensors[f"{name}.pixels"] = values["pixels"]
    defaults = dict(negative=None, normalization=False, truncation=1.0, shift=3.0)
    out.mkdir(parents=True, exist_ok=True)
    save_golden(out / "golden_pipeline.safetensors", tensors,
                {"cases": {name: {**defaults, **case} for name, case in DEMO_CASES.items()}})


# What the demo model makes of its own picture of the case "rows": other words for all of it, and for its upper half.
DEMO_FROM_PICTURE_CASES = {
    "recoloured": dict(prompt="two red squares above a yellow triangle", seed=4, width=128, height=128, steps=9,
                       strength=0.8, evaluations=8, guidance=0.0),
    "repainted": dict(prompt="two blue hearts above a yellow triangle", seed=5, width=128, height=128, steps=9,
                      strength=1.0, evaluations=9, guidance=0.0, mask=True),
}


def golden_demo_from_picture(model: Path, out: Path) -> None:
    """The demo model's pictures in fp32 that begin as another one."""
    pipes = from_picture_pipes(model)
    source = load_file(out / "golden_pipeline.safetensors")["rows.pixels"]
    upper_half = torch.zeros(128, 128, dtype=torch.uint8)
    upper_half[:64] = 255
    tensors = {}
    for name, case in DEMO_FROM_PICTURE_CASES.items():
        values = run_from_picture(pipes, case, source, upper_half)
        tensors |= {f"{name}.cap": values["cap"], f"{name}.pixels": values["pixels"]}
    defaults = dict(negative=None, normalization=False, truncation=1.0, shift=3.0, mask=False)
    save_golden(out / "golden_from_picture.safetensors", tensors, {
        "cases": {name: {**defaults, **case} for name, case in DEMO_FROM_PICTURE_CASES.items()},
        "pictures": "rows.pixels of golden_pipeline; the mask is white above"})


# ---------------------------------------------------------------- shared goldens

def bits(values) -> list[str]:
    """fp32 values as eight hexadecimal digits each, so that the comparison is exact."""
    return [f"{pattern:08x}" for pattern in numpy.asarray(values, dtype=numpy.float32).view(numpy.uint32)]


def golden_schedule(out: Path) -> None:
    """Sigmas, timesteps and the model's t_in exactly as the pipeline computes them."""
    cases = []
    for shift in (1.0, 2.0, 3.0, 6.5):
        for steps in (1, 2, 4, 8, 9, 20, 50):
            scheduler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, use_dynamic_shifting=False, shift=shift)
            base = get_default_z_image_sigmas(steps)
            timesteps, _ = retrieve_timesteps(scheduler, steps, "cpu", sigmas=base, mu=0.9)
            cases.append({"shift": shift, "steps": steps, "base": bits(base), "sigmas": bits(scheduler.sigmas),
                          "timesteps": bits(timesteps), "t_in": bits((1000 - timesteps) / 1000)})
    known = next(case for case in cases if case["shift"] == 3.0 and case["steps"] == 8)
    assert known["sigmas"][:3] == ["3f800000", "3f745d17", "3f666666"]
    lines = ",\n".join(json.dumps(case) for case in cases)
    (out / "golden_schedule.json").write_text(f"[\n{lines}\n]\n")


# What scheduler_config.json may ask for, with latent heights and widths: dynamic shifting follows their product.
SCHEDULES = [
    ({"shift": 3.0, "shift_terminal": 0.1}, [(128, 128)]),
    ({"shift": 1.0, "use_karras_sigmas": True}, [(128, 128)]),
    ({"shift": 3.0, "use_karras_sigmas": True, "sigma_min": 0.02, "sigma_max": 0.9}, [(128, 128)]),
    ({"shift": 3.0, "use_exponential_sigmas": True}, [(128, 128)]),
    ({"shift": 3.0, "use_beta_sigmas": True, "shift_terminal": 0.05}, [(128, 128)]),
    ({"shift": 3.0, "invert_sigmas": True}, [(128, 128)]),
    ({"shift": 2.0, "use_beta_sigmas": True, "invert_sigmas": True}, [(128, 128)]),
    ({"use_dynamic_shifting": True}, [(64, 64), (128, 128), (96, 160), (16, 16)]),
    ({"use_dynamic_shifting": True, "time_shift_type": "linear", "base_shift": 1.5, "max_shift": 4.0}, [(64, 64), (128, 128)]),
    ({"use_dynamic_shifting": True, "base_shift": 0.6, "max_shift": 0.9, "base_image_seq_len": 64, "max_image_seq_len": 1024,
      "use_karras_sigmas": True, "shift_terminal": 0.02}, [(64, 64), (128, 96)]),
    ({}, [(128, 128)]),
]


def golden_schedule_kinds(out: Path) -> None:
    """Sigmas of every kind of schedule as the pipeline computes them, with numbers as 32 bit patterns."""
    lines = []
    for config, sizes in SCHEDULES:
        for height, width in sizes:
            for steps in (1, 4, 9, 20):
                if steps == 1 and "shift_terminal" in config:
                    continue  # not a number there
                scheduler = FlowMatchEulerDiscreteScheduler.from_config(config)
                mu = calculate_shift((height // 2) * (width // 2), *(scheduler.config[key] for key in (
                    "base_image_seq_len", "max_image_seq_len", "base_shift", "max_shift")))
                retrieve_timesteps(scheduler, steps, "cpu", sigmas=get_default_z_image_sigmas(steps), mu=mu)
                lines.append(json.dumps({"config": config, "latent": [height, width], "steps": steps,
                                         "sigmas": bits(scheduler.sigmas)}))
    (out / "golden_schedule_kinds.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


def golden_noise(out: Path) -> None:
    seeds = (0, 42, 2**32 + 42, 2**63 - 1)
    save_golden(out / "golden_noise.safetensors", {f"seed.{seed}": noise((1, 16, 8, 10), seed) for seed in seeds},
                {"about": "torch.randn, CPU generator, fp32"})


# ---------------------------------------------------------------- all of it

def check_no_machine_paths(out: Path) -> None:
    """The libraries like to write where a model was loaded from; such a line must not be committed."""
    for path in out.rglob("*.json"):
        text = path.read_text()
        assert "_name_or_path" not in text and str(out.resolve()) not in text, path


def report(out: Path) -> None:
    """Prints what every golden file holds, and refuses a total above the limit."""
    for path in sorted(out.rglob("golden_*.safetensors")):
        print(f"{path.relative_to(out)}  {path.stat().st_size} bytes")
        for name, tensor in load_file(path).items():
            print(f"    {name}  {str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}")
    total = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"total {total} bytes")
    assert total < SIZE_LIMIT


def quiet() -> None:
    """Only our own lines on the terminal."""
    warnings.filterwarnings("ignore")
    for library in (transformers, diffusers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent / "data")
    parser.add_argument("--demo", type=Path, help="only the pictures of this demo model, into OUT/demo")
    options = parser.parse_args()
    out = options.out
    torch.set_num_threads(1)
    quiet()
    if options.demo:
        golden_demo(options.demo, out / "demo")
        golden_demo_from_picture(options.demo, out / "demo")
        return
    out.mkdir(parents=True, exist_ok=True)
    for toy in TOYS:
        folder = out / toy.name
        save_checkpoint(toy, folder)
        golden_tokens(folder)
        golden_text(folder)
        golden_dit(toy, folder)
        golden_vae(toy, folder)
        golden_vae_encode(toy, folder)
        golden_pipeline(toy, folder)
        golden_from_picture(toy, folder)
    golden_schedule(out)
    golden_schedule_kinds(out)
    golden_added_tokens(out)
    golden_noise(out)
    check_no_machine_paths(out)
    report(out)


if __name__ == "__main__":
    main()
