"""Writes data/*.safetensors, one LoRA file of each style, and data/goldens.json, what each does, for lora_file_test.

What a file does is computed here by formula in float64 from the stored values. Files of PEFT and LyCORIS are written by these packages,
and for each of them, and for what diffusers converts, the formula is compared with the package's own weights:
pip install numpy==2.4.6 safetensors==0.8.0 torch==2.11.0 peft==0.21.2 diffusers==0.42.1 lycoris-lora==4.1.3
"""
import json
import math
import pathlib

import numpy as np
import peft
import torch
from diffusers.loaders.lora_conversion_utils import _convert_non_diffusers_z_image_lora_to_diffusers as to_diffusers
from lycoris.modules.loha import LohaModule
from lycoris.modules.lokr import LokrModule
from safetensors.torch import save_file

FOLDER = pathlib.Path(__file__).parent / "data"
DIM, HIDDEN, TIME, CAPTION, PATCH = 6, 8, 4, 5, 12
BLOCK = {
    "attention.to_q": (DIM, DIM),
    "attention.to_k": (DIM, DIM),
    "attention.to_v": (DIM, DIM),
    "attention.to_out.0": (DIM, DIM),
    "feed_forward.w1": (HIDDEN, DIM),
    "feed_forward.w2": (DIM, HIDDEN),
    "feed_forward.w3": (HIDDEN, DIM),
}
BLOCKS = ("layers.0", "layers.1", "noise_refiner.0", "context_refiner.0")
MODULES = {f"{block}.{name}": shape for block in BLOCKS for name, shape in BLOCK.items()}
MODULES |= {f"{block}.adaLN_modulation.0": (4 * DIM, TIME) for block in ("layers.0", "layers.1", "noise_refiner.0")}
MODULES |= {
    "cap_embedder.1": (DIM, CAPTION),
    "t_embedder.mlp.0": (10, TIME),
    "t_embedder.mlp.2": (TIME, 10),
    "all_x_embedder.2-1": (DIM, PATCH),
    "all_final_layer.2-1.linear": (PATCH, DIM),
    "all_final_layer.2-1.adaLN_modulation.1": (DIM, TIME),
}
Q0, K0, V0, OUT0, UP0, DOWN0 = (f"layers.0.{name}" for name in list(BLOCK)[:6])
QKV = ("attention.to_q", "attention.to_k", "attention.to_v")

torch.manual_seed(16)
WEIGHTS = {name: torch.randn(shape) for name, shape in MODULES.items()}


def rand(*shape, dtype=torch.float32):
    return torch.randn(shape).to(dtype)


def real(tensor) -> np.ndarray:
    array = tensor.detach().to(torch.float64).numpy()
    return array[..., 0, 0] if array.ndim == 4 else array


def low_rank(down, up, scale=1.0, mid=None):
    return scale * (real(up) @ (np.eye(len(real(down))) if mid is None else real(mid)) @ real(down))


def weight(module) -> np.ndarray:
    return real(WEIGHTS[module])


def with_magnitude(module, change, magnitude, norm_of_weight=False):
    """The difference to the weight; a magnitude by row is one-dimensional here, by column [1, in]."""
    v = weight(module) + change
    by_row = magnitude.ndim == 1 or magnitude.shape[0] == v.shape[0]
    m = real(magnitude).reshape(-1, 1) if by_row else real(magnitude).reshape(1, -1)
    norm = np.linalg.norm(weight(module) if norm_of_weight and by_row else v, axis=1 if by_row else 0, keepdims=True)
    return v * m / norm - weight(module)


class Golden:
    def __init__(self):
        self.files = {}

    def add(self, name, tensors, deltas, metadata=None, biases=None, unused=(), text_encoder=(), **facts):
        tensors = {key: tensor.detach().contiguous().clone() for key, tensor in tensors.items()}
        save_file(tensors, FOLDER / f"{name}.safetensors", metadata=metadata)
        for module, delta in deltas.items():
            assert delta.shape == MODULES[module], (name, module, delta.shape)
        rounded = lambda arrays: {key: [float(f"{x:.9g}") for x in np.ravel(array)] for key, array in sorted(arrays.items())}
        self.files[name] = {
            "deltas": rounded(deltas),
            "biases": rounded(biases or {}),
            "unused": sorted(unused),
            "text_encoder": sorted(text_encoder),
            "used": len(tensors) - len(unused) - len(text_encoder),
        } | facts


def same(ours, theirs, what):
    error = np.abs(ours - real(theirs)).max()
    assert error < 2e-5, (what, error)


def same_in_diffusers(tensors, deltas):
    """Converted as diffusers does, its products are ours. What it leaves unmatched it would not load."""
    converted = to_diffusers(dict(tensors))
    for module, delta in deltas.items():
        front = f"transformer.{module}."
        same(delta, converted[front + "lora_B.weight"].double() @ converted[front + "lora_A.weight"].double(), module)


# --- PEFT ---


class Toy(torch.nn.Module):
    """Linear layers by their names."""

    def __init__(self, modules):
        super().__init__()
        for name in modules:
            *path, last = name.split(".")
            place = self
            for segment in path:
                if not hasattr(place, segment):
                    place.add_module(segment, torch.nn.Module())
                place = getattr(place, segment)
            out, inputs = MODULES[name]
            linear = torch.nn.Linear(inputs, out)
            linear.weight.data.copy_(WEIGHTS[name])
            linear.bias.data.zero_()
            place.add_module(last, linear)

    def forward(self):
        raise NotImplementedError


def peft_file(config, modules):
    """The tensors as PEFT saves them, and the weights and biases into which it merges them."""
    config.target_modules = list(modules)
    model = peft.get_peft_model(Toy(modules), config)
    for name, parameter in model.named_parameters():
        if "magnitude" in name:
            parameter.data *= 1 + 0.3 * torch.rand_like(parameter)
        elif "lora" in name or "hada" in name or "lokr" in name:
            parameter.data = torch.randn_like(parameter)
    saved = peft.get_peft_model_state_dict(model)
    merged = model.merge_and_unload()
    return saved, {name: merged.get_submodule(name) for name in modules}


def add_peft(golden):
    front = "base_model.model."
    modules = [Q0, DOWN0, "cap_embedder.1"]
    saved, merged = peft_file(peft.LoraConfig(r=2, lora_alpha=2, lora_bias=True, init_lora_weights=False), modules)
    deltas = {m: low_rank(saved[f"{front}{m}.lora_A.weight"], saved[f"{front}{m}.lora_B.weight"]) for m in modules}
    biases = {m: real(saved[f"{front}{m}.lora_B.bias"]) for m in modules}
    for m in modules:
        same(weight(m) + deltas[m], merged[m].weight, m)
        same(biases[m], merged[m].bias, m)
    golden.add("peft", saved, deltas, biases=biases)

    saved, merged = peft_file(peft.LoraConfig(r=3, lora_alpha=3, use_dora=True, init_lora_weights=False), [Q0, UP0])
    changes = {m: low_rank(*(saved[f"{front}{m}.lora_{half}.weight"] for half in "AB")) for m in (Q0, UP0)}
    deltas = {m: with_magnitude(m, change, saved[f"{front}{m}.lora_magnitude_vector"]) for m, change in changes.items()}
    for m in (Q0, UP0):
        same(weight(m) + deltas[m], merged[m].weight, m)
    golden.add("peft_dora", saved, deltas)
    assert f"{front}{Q0}.lora_magnitude_vector" in saved

    saved, merged = peft_file(peft.LoHaConfig(r=2, alpha=2), [OUT0, UP0])
    deltas = {
        m: (real(saved[f"{front}{m}.hada_w1_a"]) @ real(saved[f"{front}{m}.hada_w1_b"]))
        * (real(saved[f"{front}{m}.hada_w2_a"]) @ real(saved[f"{front}{m}.hada_w2_b"]))
        for m in (OUT0, UP0)
    }
    for m in (OUT0, UP0):
        same(weight(m) + deltas[m], merged[m].weight, m)
    golden.add("peft_loha", saved, deltas)

    # r below half the greater side: factored there.
    saved, merged = peft_file(peft.LoKrConfig(r=1, alpha=1, decompose_factor=2), [UP0, DOWN0])
    deltas = {m: kron(saved, f"{front}{m}.") for m in (UP0, DOWN0)}
    for m in (UP0, DOWN0):
        same(weight(m) + deltas[m], merged[m].weight, m)
    golden.add("peft_lokr", saved, deltas)

    # What diffusers writes: the names of the component, and PEFT's settings as JSON in the header.
    modules = [Q0, K0, "layers.1.feed_forward.w2"]
    config = peft.LoraConfig(r=4, lora_alpha=6, use_rslora=True, alpha_pattern={"feed_forward.w2": 3, K0: 5}, init_lora_weights=False)
    saved, merged = peft_file(config, modules)
    saved = {"transformer." + key.removeprefix(front): tensor for key, tensor in saved.items()}
    alphas = dict(zip(modules, (6, 5, 3)))
    deltas = {m: low_rank(*(saved[f"transformer.{m}.lora_{half}.weight"] for half in "AB"), a / math.sqrt(4)) for m, a in alphas.items()}
    for m in modules:
        same(weight(m) + deltas[m], merged[m].weight, m)
    settings = {f"transformer.{key}": sorted(value) if isinstance(value, set) else value for key, value in config.to_dict().items()}
    settings = {key: value for key, value in settings.items() if isinstance(value, (int, float, str, list, dict, type(None)))}
    metadata = {"format": "pt", "lora_adapter_metadata": json.dumps(settings, indent=2, sort_keys=True)}
    golden.add("diffusers_settings", saved, deltas, metadata=metadata)


# --- LyCORIS ---


def kron(tensors, front):
    """Of the tensors under a prefix, whole or factored; the factor is the caller's."""

    def factor(w):
        return real(tensors[front + w]) if front + w in tensors else real(tensors[front + w + "_a"]) @ real(tensors[front + w + "_b"])

    return np.kron(factor("lokr_w1"), factor("lokr_w2"))


def lycoris_module(kind, module, **options):
    out, inputs = MODULES[module]
    linear = torch.nn.Linear(inputs, out, bias=False)
    linear.weight.data.copy_(WEIGHTS[module])
    made = kind("lycoris_" + module.replace(".", "_"), linear, **options)
    for name, parameter in made.named_parameters():
        if name == "dora_scale":
            parameter.data *= 1 + 0.3 * torch.rand_like(parameter)
        elif name != "scalar":
            parameter.data = torch.randn_like(parameter)
    return made


def weight_in_use(made):
    """By its forward pass: get_merged_weight of this version takes the factor twice."""
    with torch.no_grad():
        return made(torch.eye(made.org_module[0].in_features)).T


def saved_by(made, module):
    return {f"lycoris_{module.replace('.', '_')}.{key}": tensor for key, tensor in made.state_dict().items()}


def add_lycoris(golden):
    tensors, deltas = {}, {}
    cases = {
        UP0: dict(lora_dim=1, alpha=2, factor=2),
        DOWN0: dict(lora_dim=1, alpha=3, factor=2, decompose_both=True),
        "layers.0.adaLN_modulation.0": dict(lora_dim=1, alpha=0.5, factor=4, decompose_both=True),
        OUT0: dict(lora_dim=1, alpha=2, factor=2, weight_decompose=True, wd_on_out=True),
        V0: dict(lora_dim=1, alpha=2, factor=2, weight_decompose=True, wd_on_out=False),
    }
    for module, options in cases.items():
        made = lycoris_module(LokrModule, module, **options)
        saved = saved_by(made, module)
        front = f"lycoris_{module.replace('.', '_')}."
        change = kron(saved, front) * (saved[front + "alpha"].item() / options["lora_dim"])
        if "weight_decompose" in options:
            change = with_magnitude(module, change, saved[front + "dora_scale"])
        same(weight(module) + change, weight_in_use(made), module)
        tensors |= saved
        deltas[module] = change
    assert any(key.endswith("lokr_w1_a") for key in tensors) and any(key.endswith("lokr_w2_b") for key in tensors)
    golden.add("lycoris_lokr", tensors, deltas)

    tensors, deltas = {}, {}
    for module, options in {Q0: dict(lora_dim=2, alpha=1), UP0: dict(lora_dim=2, alpha=4, weight_decompose=True, wd_on_out=True)}.items():
        made = lycoris_module(LohaModule, module, **options)
        saved = saved_by(made, module)
        front = f"lycoris_{module.replace('.', '_')}."
        w1, w2 = (real(saved[f"{front}hada_{w}_a"]) @ real(saved[f"{front}hada_{w}_b"]) for w in ("w1", "w2"))
        change = w1 * w2 * (options["alpha"] / options["lora_dim"])
        if "weight_decompose" in options:
            change = with_magnitude(module, change, saved[front + "dora_scale"])
        same(weight(module) + change, weight_in_use(made), module)
        tensors |= saved
        deltas[module] = change
    golden.add("lycoris_loha", tensors, deltas)


# --- trainers and programs whose files are written here ---


def pair(golden_module, r, dtype=torch.float32):
    out, inputs = MODULES[golden_module]
    return rand(r, inputs, dtype=dtype), rand(out, r, dtype=dtype)


def split(block, change):
    return {f"{block}.{name}": change[i * DIM : (i + 1) * DIM] for i, name in enumerate(QKV)}


def add_written(golden):
    # Names of the original checkpoint, q, k and v in one.
    tensors, deltas = {}, {}
    down, up = rand(3, DIM, dtype=torch.bfloat16), rand(3 * DIM, 3, dtype=torch.bfloat16)
    front = "diffusion_model.layers.0.attention.qkv."
    tensors |= {front + "lora_down.weight": down, front + "lora_up.weight": up, front + "alpha": torch.tensor(1.5, dtype=torch.bfloat16)}
    deltas |= split("layers.0", low_rank(down, up, 0.5))
    natives = {
        OUT0: "layers.0.attention.out",
        "all_x_embedder.2-1": "x_embedder",
        "all_final_layer.2-1.linear": "final_layer.linear",
        "all_final_layer.2-1.adaLN_modulation.1": "final_layer.adaLN_modulation.1",
        "layers.0.adaLN_modulation.0": "layers.0.adaLN_modulation.0",
        "cap_embedder.1": "cap_embedder.1",
        "t_embedder.mlp.0": "t_embedder.mlp.0",
        "t_embedder.mlp.2": "t_embedder.mlp.2",
        "context_refiner.0.feed_forward.w3": "context_refiner.0.feed_forward.w3",
    }
    for module, native in natives.items():
        down, up = pair(module, 2, torch.bfloat16)
        tensors |= {f"diffusion_model.{native}.lora_down.weight": down, f"diffusion_model.{native}.lora_up.weight": up}
        tensors[f"diffusion_model.{native}.alpha"] = torch.tensor([4.0])
        deltas[module] = low_rank(down, up, 2)
    golden.add("comfyui", tensors, deltas)

    # kohya's underscores for either layout; alpha of every type; a middle factor; a convolution of one pixel.
    tensors, deltas = {}, {}
    alphas = {
        Q0: torch.tensor(3.0),
        "noise_refiner.0.adaLN_modulation.0": torch.tensor([1.0], dtype=torch.float16),
        "all_x_embedder.2-1": torch.tensor(0.25, dtype=torch.bfloat16),
        "all_final_layer.2-1.linear": torch.tensor(2),
        "cap_embedder.1": torch.tensor(6.1e-5, dtype=torch.float16),  # a denormal
        "t_embedder.mlp.0": torch.tensor(-1.0, dtype=torch.float64),
    }
    for module, alpha in alphas.items():
        down, up = pair(module, 4)
        base = "lora_unet_" + module.replace(".", "_")
        tensors |= {f"{base}.lora_down.weight": down, f"{base}.lora_up.weight": up, f"{base}.alpha": alpha}
        deltas[module] = low_rank(down, up, alpha.item() / 4)
    negative = {key for key in tensors if "t_embedder" in key}  # with such an alpha diffusers never ends
    others = {m: delta for m, delta in deltas.items() if "t_embedder" not in m}
    same_in_diffusers({key: t for key, t in tensors.items() if key not in negative}, others)
    natives = {"lora_unet_context_refiner_0_attention_qkv": "context_refiner.0", "lora_unet__layers_1_attention_qkv": "layers.1"}
    for native, block in natives.items():
        down, up = rand(2, DIM), rand(3 * DIM, 2)
        fused = {f"{native}.lora_down.weight": down, f"{native}.lora_up.weight": up, f"{native}.alpha": torch.tensor(1.0)}
        if "__" not in native:
            same_in_diffusers(fused, split(block, low_rank(down, up, 0.5)))
        tensors |= fused
        deltas |= split(block, low_rank(down, up, 0.5))
    down, up, mid = rand(2, DIM, 1, 1), rand(HIDDEN, 2, 1, 1), rand(2, 2, 1, 1)
    tensors |= {f"lora_unet_layers_1_feed_forward_w3.lora_{part}.weight": t for part, t in (("down", down), ("up", up), ("mid", mid))}
    deltas["layers.1.feed_forward.w3"] = low_rank(down, up, 1, mid)
    down, up = rand(2, TIME), rand(DIM, 2)
    base = "lora_unet_final_layer_adaLN_modulation_1"
    tensors |= {f"{base}.lora_down.weight": down, f"{base}.lora_up.weight": up}
    deltas["all_final_layer.2-1.adaLN_modulation.1"] = low_rank(down, up)
    tags = {"10_cat": {"sks cat": 12, "sitting": 5}, "1_dog": {"sks cat": 3, "dog": 3}}
    metadata = {"ss_base_model_version": "zimage", "ss_network_dim": "4", "ss_tag_frequency": json.dumps(tags)}
    golden.add("kohya", tensors, deltas, metadata=metadata, trigger_words=["sks cat", "dog"], base_model="zimage")

    # ai-toolkit: names of diffusers under ComfyUI's prefix, no alpha.
    tensors, deltas = {}, {}
    for module in (K0, OUT0, DOWN0, "noise_refiner.0.attention.to_v"):
        down, up = pair(module, 2, torch.float16)
        tensors |= {f"diffusion_model.{module}.lora_A.weight": down, f"diffusion_model.{module}.lora_B.weight": up}
        deltas[module] = low_rank(down, up)
    same_in_diffusers(tensors, deltas)
    metadata = {"ss_tag_frequency": json.dumps({"1_p3r5on": {"p3r5on": 1}}), "ss_base_model_version": "zimage:turbo"}
    golden.add("ai_toolkit", tensors, deltas, metadata=metadata, trigger_words=["p3r5on"], base_model="zimage:turbo")

    # Its LoKr: both factors whole, an alpha that means nothing; also over q, k and v in one.
    tensors, deltas = {}, {}
    huge = torch.tensor(1e10, dtype=torch.bfloat16)
    assert huge.item() == 9999220736
    for module, w1, w2 in ((UP0, rand(2, 2), rand(4, 3)), ("layers.0.adaLN_modulation.0", rand(4, 2), rand(6, 2))):
        front = f"diffusion_model.{module}."
        tensors |= {front + "lokr_w1": w1, front + "lokr_w2": w2, front + "alpha": huge}
        deltas[module] = np.kron(real(w1), real(w2))
    w1, w2 = rand(9, 3), rand(2, 2)
    tensors |= {"diffusion_model.layers.1.attention.qkv.lokr_w1": w1, "diffusion_model.layers.1.attention.qkv.lokr_w2": w2}
    deltas |= split("layers.1", np.kron(real(w1), real(w2)))
    w1a, w1b, w2 = rand(4, 1), rand(1, 2), rand(2, 3)
    front = "transformer.layers.1.feed_forward.w3."
    tensors |= {front + "lokr_w1_a": w1a, front + "lokr_w1_b": w1b, front + "lokr_w2": w2, front + "alpha": torch.tensor(0.5)}
    deltas["layers.1.feed_forward.w3"] = 0.5 * np.kron(real(w1a) @ real(w1b), real(w2))
    golden.add("ai_toolkit_lokr", tensors, deltas)

    # OneTrainer: a prefix of its own; DoRA by row against the norm of the weight, and by column.
    tensors, deltas = {}, {}
    for module, by_row in ((Q0, True), (DOWN0, False), (V0, None)):
        down, up = pair(module, 2)
        base = "lora_transformer_" + module.replace(".", "_")
        tensors |= {f"{base}.lora_down.weight": down, f"{base}.lora_up.weight": up, f"{base}.alpha": torch.tensor(1.0)}
        deltas[module] = low_rank(down, up, 0.5)
        if by_row is not None:
            scale = 1 + torch.rand((MODULES[module][0], 1) if by_row else (1, MODULES[module][1]))
            tensors[f"{base}.dora_scale"] = scale
            deltas[module] = with_magnitude(module, deltas[module], scale)
    golden.add("onetrainer", tensors, deltas)

    # The magnitudes of q, k and v in one.
    down, up, scale = rand(2, DIM), rand(3 * DIM, 2), 1 + torch.rand(3 * DIM, 1)
    front = "diffusion_model.layers.0.attention.qkv."
    changes = split("layers.0", low_rank(down, up, 1.5))
    deltas = {m: with_magnitude(m, change, scale[i * DIM : (i + 1) * DIM]) for i, (m, change) in enumerate(changes.items())}
    tensors = {front + "lora_A.weight": down, front + "lora_B.weight": up, front + "alpha": torch.tensor(3.0), front + "dora_scale": scale}
    golden.add("fused_dora", tensors, deltas)

    # Older spellings of diffusers, an adapter's name, no suffix, no prefix, two prefixes.
    tensors, deltas = {}, {}
    spellings = [
        (Q0, "transformer.{}.lora.down.weight", "transformer.{}.lora.up.weight"),
        (K0, "transformer.{}_lora.down.weight", "transformer.{}_lora.up.weight"),
        (V0, "{}.lora_linear_layer.down.weight", "{}.lora_linear_layer.up.weight"),
        (OUT0, "diffusion_model.{}.lora_A.default.weight", "diffusion_model.{}.lora_B.default.weight"),
        (UP0, "base_model.model.transformer.{}.lora_A.style_1.weight", "base_model.model.transformer.{}.lora_B.style_1.weight"),
        (DOWN0, "model.diffusion_model.{}.lora_A", "model.diffusion_model.{}.lora_B"),
    ]
    for module, a, b in spellings:
        down, up = pair(module, 2)
        tensors |= {a.format(module): down, b.format(module): up}
        deltas[module] = low_rank(down, up)
    golden.add("spellings", tensors, deltas)

    # Differences as they stand, of weights and of biases.
    full, full_bias = rand(HIDDEN, DIM), rand(HIDDEN)
    saved = {"lycoris_layers_0_feed_forward_w1.diff": full, "lycoris_layers_0_feed_forward_w1.diff_b": full_bias}
    deltas, biases = {UP0: real(full)}, {UP0: real(full_bias)}
    difference, bias, fused = rand(DIM, CAPTION), rand(DIM), rand(3 * DIM, DIM)
    saved |= {"diffusion_model.cap_embedder.1.diff": difference, "diffusion_model.cap_embedder.1.diff_b": bias}
    saved |= {"diffusion_model.layers.1.attention.qkv.diff": fused}
    deltas |= {"cap_embedder.1": real(difference)} | split("layers.1", real(fused))
    golden.add("differences", saved, deltas, biases=biases | {"cap_embedder.1": real(bias)})

    # The same layers again under the names of the original checkpoint, as some files have them: their own names count.
    tensors, deltas = {}, {}
    for module in (Q0, K0, V0, OUT0):
        down, up = pair(module, 2)
        tensors |= {f"diffusion_model.{module}.lora_A.weight": down, f"diffusion_model.{module}.lora_B.weight": up}
        deltas[module] = low_rank(down, up)
    front = "diffusion_model.layers.0.attention."
    twice = {front + "qkv.lora_A.weight": rand(6, DIM), front + "qkv.lora_B.weight": rand(3 * DIM, 6)}
    twice |= {front + "out.lora_A.weight": rand(2, DIM), front + "out.lora_B.weight": rand(DIM, 2)}
    again = {"transformer." + key.removeprefix("diffusion_model."): t for key, t in tensors.items() if Q0 in key}
    # Which of the two equal ones counts is one and the same.
    golden.add("twice", tensors | twice | again, deltas, unused=list(twice) + list(again))

    # Foreign keys beside one that matches.
    down, up = pair(Q0, 2)
    tensors = {f"diffusion_model.{Q0}.lora_A.weight": down, f"diffusion_model.{Q0}.lora_B.weight": up}
    foreign = {
        "diffusion_model.layers.7.attention.to_q.lora_A.weight": rand(2, 3),
        "diffusion_model.t_embedder_2.mlp.0.lora_A.weight": rand(2, TIME),
        "diffusion_model.layers.0.attention_norm1.diff": rand(DIM),
        "diffusion_model.layers.0.attention.norm_q.w_norm": rand(2),
        "diffusion_model.layers.0.attention.to_k.alpha": torch.tensor(float("nan")),
        "diffusion_model.layers.0.attention.to_v.oft_blocks": rand(2, 2, 2),
        "scaled": rand(1),
    }
    text = {"lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight": rand(1, 2)}
    text |= {"text_encoder.layers.0.self_attn.q_proj.lora_A.weight": rand(1, 2)}
    golden.add("foreign_beside", tensors | foreign | text, {Q0: low_rank(down, up)}, unused=list(foreign), text_encoder=list(text))


def main():
    FOLDER.mkdir(exist_ok=True)
    golden = Golden()
    add_peft(golden)
    add_lycoris(golden)
    add_written(golden)
    used = {m for file in golden.files.values() for m in file["deltas"]}
    goldens = {"modules": MODULES, "weights": {m: [float(x) for x in WEIGHTS[m].ravel()] for m in sorted(used)}, "files": golden.files}
    (FOLDER / "goldens.json").write_text(json.dumps(goldens, indent=0, separators=(",", ":")).replace(",\n", ", ").replace("\n", "") + "\n")


if __name__ == "__main__":
    main()
