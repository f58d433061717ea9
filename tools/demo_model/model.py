"""The demo model's parts, made of the reference classes, and a batched forward over their weights for training.

diffusers' transformer takes lists and keeps fp32 between its bf16 layers; the forward here does the same arithmetic for a batch of
pictures of one size in the modules' own dtype. check_forward() compares the two.
"""

import copy
import json
import re
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, ZImageTransformer2DModel
from tokenizers import Tokenizer
from transformers import Qwen3Config, Qwen3Model

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "parity"))
from toy_checkpoints import MODEL_INDEX, tokenizer_config, train_bpe, write_json  # noqa: E402

from scenes import caption, long_caption, random_spec  # noqa: E402

CAPTION_BLOCK = 32  # captions are padded to a multiple of this, as the pipeline does
SHIFT = 3.0


# ---------------------------------------------------------------- parts

def words_of_grammar(captions: int = 40_000) -> list[str]:
    """Every word that a caption may have, in lower case: what the model knows."""
    rng = np.random.default_rng(1)
    words = set()
    for index in range(captions):
        spec = random_spec(rng)
        words |= set(re.findall("[a-z]+", caption(rng, spec).lower()))
        if index % 4 == 0:
            words |= set(re.findall("[a-z]+", long_caption(rng, spec).lower()))
    return sorted(words)


def make_tokenizer(seed: int) -> Tokenizer:
    """BPE over captions of the grammar; every word of theirs becomes few tokens, any other text falls back to bytes."""
    rng = np.random.default_rng([seed, 4])
    lines = [frame((long_caption if index % 6 == 0 else caption)(rng, random_spec(rng))) for index in range(60_000)]
    return train_bpe(lines, 748)


def frame(prompt: str) -> str:
    """The prompt as the encoder formats it."""
    return f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"


def make_text_encoder(tokens: int) -> Qwen3Model:
    """Three layers, of which the last is not used: the transformer reads hidden state -2."""
    return Qwen3Model(Qwen3Config(
        hidden_size=128, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=32, intermediate_size=256,
        vocab_size=768, tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        max_position_embeddings=40960, rms_norm_eps=1e-6, bos_token_id=tokens - 26, eos_token_id=tokens - 24))


def make_transformer() -> ZImageTransformer2DModel:
    return ZImageTransformer2DModel(
        all_patch_size=[2], all_f_patch_size=[1], in_channels=16, dim=192, n_layers=4, n_refiner_layers=1, n_heads=6, n_kv_heads=6,
        cap_feat_dim=128, axes_dims=[8, 12, 12], axes_lens=[1536, 512, 512], norm_eps=1e-5, qk_norm=True, rope_theta=256.0,
        t_scale=1000.0)


def initialise(text_encoder: Qwen3Model, transformer: ZImageTransformer2DModel, seed: int) -> None:
    """Matrices by their number of inputs; modulation and the last layer begin at zero, gates half open."""
    generator = torch.Generator().manual_seed(seed)
    for module, gain in ((text_encoder, 0.5), (transformer, 0.8)):
        for name, value in module.named_parameters():
            noise = torch.randn(value.shape, generator=generator)
            with torch.no_grad():
                if "adaLN_modulation" in name or "all_final_layer" in name:
                    value.zero_()
                    if name.endswith("bias") and "all_final_layer" not in name:
                        quarter = len(value) // 4
                        value[quarter:2 * quarter] = value[3 * quarter:] = 0.5  # the gates of attention and feed-forward
                elif "embed_tokens" in name or name.endswith("pad_token"):
                    value.copy_(noise)
                elif value.ndim == 2:
                    value.copy_(gain * noise / value.shape[1] ** 0.5)
                elif name.endswith("bias"):
                    value.zero_()
                else:
                    value.fill_(1.0)  # norm weights


def save_folder(folder: Path, tokenizer: Tokenizer, text_encoder: Qwen3Model, transformer: ZImageTransformer2DModel,
                vae: AutoencoderKL) -> None:
    """The folder layout of Z-Image-Turbo, weights in bf16."""
    (folder / "tokenizer").mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer" / "tokenizer.json"))
    write_json(folder / "tokenizer" / "tokenizer_config.json", tokenizer_config(tokenizer.get_vocab_size()))
    for name, part in (("text_encoder", text_encoder), ("transformer", transformer), ("vae", vae)):
        part.to(torch.bfloat16).save_pretrained(folder / name)
        config = json.loads((folder / name / "config.json").read_text())
        config.pop("_name_or_path", None)  # of the machine that trained it
        write_json(folder / name / "config.json", config)
    FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, use_dynamic_shifting=False, shift=SHIFT).save_pretrained(
        folder / "scheduler")
    write_json(folder / "model_index.json", MODEL_INDEX | {"diptych": {
        "width": 128, "height": 128, "steps": 9, "guidance_scale": 0, "words": words_of_grammar(),
        "words_described_in": "README.md"}})


# ---------------------------------------------------------------- batched forward

class RootMeanSquare(torch.autograd.Function):
    """x / rms(x) * weight in x's dtype, the sum in fp32, with few passes over memory; weight [width] or [batch, 1, width]."""

    @staticmethod
    def forward(ctx, x, weight, eps):
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        inverse = torch.rsqrt(norm * norm / x.shape[-1] + eps).to(x.dtype)
        ctx.save_for_backward(x, weight, inverse)
        return x * inverse * weight

    @staticmethod
    def backward(ctx, grad):
        x, weight, inverse = ctx.saved_tensors
        unit = x * inverse
        product = grad * unit
        grad_weight = product.sum(1, keepdim=True) if weight.ndim == 3 else product.flatten(0, -2).sum(0)
        mean = (product * weight).mean(-1, keepdim=True)
        return (grad * weight - unit * mean) * inverse, grad_weight, None


def norm(module: torch.nn.Module, x: torch.Tensor, factor: torch.Tensor | None = None) -> torch.Tensor:
    """The norm, times a factor [batch, 1, width] of modulation if there is one."""
    return RootMeanSquare.apply(x, module.weight if factor is None else module.weight * factor, module.eps)


def attend(attention, x: torch.Tensor, rope: tuple) -> torch.Tensor:
    batch, length, width = x.shape
    heads = (batch, length, attention.heads, width // attention.heads)
    q = rotate(norm(attention.norm_q, attention.to_q(x).view(heads)), rope).transpose(1, 2)
    k = rotate(norm(attention.norm_k, attention.to_k(x).view(heads)), rope).transpose(1, 2)
    v = attention.to_v(x).view(heads).transpose(1, 2)
    weights = torch.softmax((q * heads[-1] ** -0.5) @ k.transpose(-1, -2), -1)
    return attention.to_out[0]((weights @ v).transpose(1, 2).reshape(batch, length, width))


def rotate(x: torch.Tensor, rope: tuple) -> torch.Tensor:
    cos, sin = rope
    return x * cos + x.unflatten(-1, (-1, 2)).flip(-1).flatten(-2) * sin


def feed(layer, x: torch.Tensor) -> torch.Tensor:
    return layer.w2(F.silu(layer.w1(x)) * layer.w3(x))


COMPILED = {}  # length of a sequence -> the compiled block


def compile_blocks(length: int) -> None:
    """From now on blocks over `length` tokens in training are compiled: a quarter faster, after a minute or two."""
    torch._inductor.config.cpp.dynamic_threads = True
    COMPILED[length] = torch.compile(modulated_block, dynamic=False)


def block(layer, x: torch.Tensor, rope: tuple, time: torch.Tensor | None) -> torch.Tensor:
    """One transformer block; `time` None for the context refiner, which has no modulation."""
    if time is not None:
        compiled = COMPILED.get(x.shape[1]) if torch.is_grad_enabled() else None
        return (compiled or modulated_block)(layer, x, rope, time)
    x = x + norm(layer.attention_norm2, attend(layer.attention, norm(layer.attention_norm1, x), rope))
    return x + norm(layer.ffn_norm2, feed(layer.feed_forward, norm(layer.ffn_norm1, x)))


def modulated_block(layer, x: torch.Tensor, rope: tuple, time: torch.Tensor) -> torch.Tensor:
    scale_msa, gate_msa, scale_mlp, gate_mlp = layer.adaLN_modulation(time).unsqueeze(1).chunk(4, 2)
    h = attend(layer.attention, norm(layer.attention_norm1, x, 1 + scale_msa), rope)
    x = x + norm(layer.attention_norm2, h, gate_msa.tanh())
    h = feed(layer.feed_forward, norm(layer.ffn_norm1, x, 1 + scale_mlp))
    return x + norm(layer.ffn_norm2, h, gate_mlp.tanh())


def rope_of(transformer, ids: torch.Tensor, dtype: torch.dtype) -> tuple:
    """Factors of each feature and of its partner in the pair: (e, o) becomes (e cos - o sin, o cos + e sin)."""
    turns = transformer.rope_embedder(ids)[:, None]
    cos = turns.real.repeat_interleave(2, -1)
    sin = torch.stack([-turns.imag, turns.imag], -1).flatten(-2)
    return cos.to(dtype), sin.to(dtype)


def padded(length: int) -> int:
    return -(-length // CAPTION_BLOCK) * CAPTION_BLOCK


def text_states(text_encoder: Qwen3Model, ids: torch.Tensor) -> torch.Tensor:
    """Hidden state -2 [batch, length, 128] of right-padded ids; causal attention keeps the pads out of the real rows."""
    x = text_encoder.embed_tokens(ids)
    positions = torch.arange(ids.shape[1])[None]
    rope = text_encoder.rotary_emb(x, positions)
    for layer in text_encoder.layers[:-1]:
        x = layer(x, position_embeddings=rope, attention_mask=None)
    return x


def velocity(transformer, latents: torch.Tensor, t: torch.Tensor, states: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """The transformer's output for latents [batch, 16, h, w], t in 0 (noise) .. 1 (clean), caption states [batch, n * 32, 128]."""
    batch, channels, height, width = latents.shape
    dtype, rows, columns, captions = states.dtype, height // 2, width // 2, states.shape[1]
    time = transformer.t_embedder(t * transformer.t_scale).to(dtype)

    patches = latents.to(dtype).view(batch, channels, rows, 2, columns, 2).permute(0, 2, 4, 3, 5, 1).reshape(batch, rows * columns, -1)
    x = transformer.all_x_embedder["2-1"](patches)
    grid = transformer.create_coordinate_grid((1, rows, columns), (captions + 1, 0, 0)).flatten(0, 2)
    pads = padded(rows * columns) - rows * columns
    if pads:
        x = torch.cat([x, transformer.x_pad_token.expand(batch, pads, -1)], 1)
        grid = torch.cat([grid, torch.zeros(pads, 3, dtype=grid.dtype)])
    image_rope = rope_of(transformer, grid, dtype)
    for layer in transformer.noise_refiner:
        x = block(layer, x, image_rope, time)

    cap_norm, cap_linear = transformer.cap_embedder
    cap = cap_linear(norm(cap_norm, states))
    real = torch.arange(captions)[None, :, None] < lengths[:, None, None]
    cap = torch.where(real, cap, transformer.cap_pad_token)
    cap_rope = rope_of(transformer, transformer.create_coordinate_grid((captions, 1, 1), (1, 0, 0)).flatten(0, 2), dtype)
    for layer in transformer.context_refiner:
        cap = block(layer, cap, cap_rope, None)

    x = torch.cat([x, cap], 1)
    rope = tuple(torch.cat(pair) for pair in zip(image_rope, cap_rope))
    for layer in transformer.layers:
        x = block(layer, x, rope, time)
    out = transformer.all_final_layer["2-1"](x[:, :rows * columns], time)
    return out.view(batch, rows, columns, 2, 2, channels).permute(0, 5, 1, 3, 2, 4).reshape(latents.shape)


@torch.no_grad()
def check_forward(transformer, text_encoder) -> float:
    """Greatest difference between velocity() and the reference's forward, as part of the reference's greatest value; fp32."""
    generator = torch.Generator().manual_seed(5)
    transformer = copy.deepcopy(transformer)
    for value in transformer.parameters():  # the start has zeros that would hide an error
        value += 0.02 * torch.randn(value.shape, generator=generator)
    worst = 0.0
    for height, width, lengths in ((16, 16, (12, 31, 32)), (12, 20, (33, 64, 40))):
        ids = [[5 + index % 600 for index in range(length)] for length in lengths]
        latents = torch.randn(len(ids), 16, height, width, generator=generator)
        t = torch.rand(len(ids), generator=generator)
        batch, lengths = pad_ids(ids)
        states = text_states(text_encoder, batch)
        ours = velocity(transformer, latents, t, states, lengths)
        whole = text_encoder(batch, output_hidden_states=True).hidden_states[-2]
        caps = [row[:length] for row, length in zip(whole, lengths)]
        reference = torch.stack(transformer([latent[:, None] for latent in latents], t, caps, return_dict=False)[0])[:, :, 0]
        worst = max(worst, float((ours - reference).abs().max() / reference.abs().max()))
    return worst


def pad_ids(ids: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids [batch, n * 32], zeros behind the real ones, and the number of real ones."""
    length = padded(max(len(row) for row in ids))
    return (torch.tensor([row + [0] * (length - len(row)) for row in ids]), torch.tensor([len(row) for row in ids]))


def sigmas(steps: int) -> torch.Tensor:
    """The pipeline's noise levels with their final 0."""
    base = torch.linspace(1, 1 / steps, steps)
    return torch.cat([SHIFT * base / (1 + (SHIFT - 1) * base), torch.zeros(1)])


@torch.no_grad()
def sample(transformer, text_encoder, ids: list[list[int]], height: int, width: int, seed: int, steps: int = 9) -> torch.Tensor:
    """Latents [batch, 16, height/8, width/8] after `steps` Euler steps without guidance."""
    batch, lengths = pad_ids(ids)
    states = text_states(text_encoder, batch)
    latents = torch.randn(len(ids), 16, height // 8, width // 8, generator=torch.Generator().manual_seed(seed))
    schedule = sigmas(steps)
    for sigma, following in zip(schedule[:-1], schedule[1:]):
        out = velocity(transformer, latents, (1 - sigma).expand(len(ids)), states, lengths)
        latents = latents + (following - sigma) * -out.float()
    return latents
