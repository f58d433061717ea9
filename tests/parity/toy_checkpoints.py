"""Two toy checkpoints in the folder layout of Z-Image-Turbo, saved by the reference libraries themselves.

They differ in every dimension, in tying, sharding, storage type, tensor prefix, tokenizer files and configuration style, so
that a loader which hard-codes any of these fails on one of them. The weights are random but well-conditioned.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM, Qwen3Model
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

import token_cases

# The 26 added tokens of Qwen3 in id order; those up to <|video_pad|> are special.
SPECIAL_TOKENS = [f"<|{name}|>" for name in (
    "endoftext im_start im_end object_ref_start object_ref_end box_start box_end quad_start quad_end "
    "vision_start vision_end vision_pad image_pad video_pad").split()]
ADDED_TOKENS = SPECIAL_TOKENS + [
    "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>",
    "<|file_sep|>", "<tool_response>", "</tool_response>", "<think>", "</think>"]

# The part of Qwen3's template that the pipelines use: plain turns, and the empty think block when thinking is off.
CHAT_TEMPLATE = (
    "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}{%- endif %}")

MODEL_INDEX = {
    "_class_name": "ZImagePipeline", "_diffusers_version": "0.42.1",
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"], "text_encoder": ["transformers", "Qwen3Model"],
    "tokenizer": ["transformers", "Qwen2Tokenizer"], "transformer": ["diffusers", "ZImageTransformer2DModel"],
    "vae": ["diffusers", "AutoencoderKL"]}


@dataclass(frozen=True)
class Toy:
    """Everything in which the two checkpoints differ."""

    name: str
    seed: int
    dtype: torch.dtype
    shard_kb: dict | None  # component -> largest shard; None: single files
    old_style: bool  # old-style text config, bare tensor names, vocab.json + merges.txt instead of tokenizer.json
    tokens: int
    text: dict
    dit: dict
    vae: dict
    shift: float


TOY_A = Toy(
    name="toy_a", seed=1, dtype=torch.float32, shard_kb=None, old_style=False, tokens=1000,
    text=dict(hidden_size=32, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=32,
              intermediate_size=96, tie_word_embeddings=True, theta=1e6, vocab_size=1008),
    dit=dict(dim=32, n_heads=4, n_kv_heads=4, n_layers=2, n_refiner_layers=1, cap_feat_dim=32,
             axes_dims=[4, 2, 2], axes_lens=[256, 64, 64]),
    vae=dict(block_out_channels=(4, 8, 12, 12), layers_per_block=1, norm_num_groups=4, sample_size=64,
             scaling_factor=0.3611, shift_factor=0.1159),
    shift=3.0)

TOY_B = Toy(
    name="toy_b", seed=2, dtype=torch.bfloat16, shard_kb=dict(text_encoder=200, transformer=700), old_style=True, tokens=1300,
    text=dict(hidden_size=48, num_hidden_layers=4, num_attention_heads=6, num_key_value_heads=3, head_dim=16,
              intermediate_size=160, tie_word_embeddings=False, theta=5e6, vocab_size=1312),
    dit=dict(dim=48, n_heads=2, n_kv_heads=2, n_layers=3, n_refiner_layers=2, cap_feat_dim=48,
             axes_dims=[4, 10, 10], axes_lens=[1536, 512, 512]),
    vae=dict(block_out_channels=(6, 12, 12, 18), layers_per_block=2, norm_num_groups=6, sample_size=96,
             scaling_factor=0.5, shift_factor=0.05),
    shift=2.0)

TOYS = (TOY_A, TOY_B)


# ---------------------------------------------------------------- weights

QK_NORMS = ("q_norm.weight", "k_norm.weight", "norm_q.weight", "norm_k.weight")


def fill_weights(module: torch.nn.Module, seed: int) -> None:
    """Gives every parameter its own random values, none of them left at a zero or one that would hide an error.

    Matrices and kernels have standard deviation 1/sqrt(inputs), so activations stay of order one. The seed of a tensor comes
    from its name, so that adding a layer does not change the others.
    """
    for name, parameter in module.named_parameters():
        generator = torch.Generator().manual_seed(seed * 2**32 + crc32(name.encode()))
        noise = torch.randn(parameter.shape, generator=generator)
        if name.endswith("pad_token") or "embed_tokens" in name:
            value = noise
        elif name.endswith("bias"):
            value = 0.2 * noise
        elif name.endswith(QK_NORMS):
            value = 1.5 + 0.3 * noise  # larger than one: peaked attention, so that the caption shows in the picture
        elif parameter.ndim == 1:
            value = 1 + 0.2 * noise
        else:
            value = noise / parameter[0].numel() ** 0.5
        parameter.data.copy_(value)


def storage_dtype(module: torch.nn.Module, toy: Toy) -> torch.nn.Module:
    """Rounds the parameters to the storage type and freezes the module."""
    return module.to(toy.dtype).eval().requires_grad_(False)


# ---------------------------------------------------------------- tokenizer

def train_bpe(lines: list[str], tokens: int) -> Tokenizer:
    """A byte-level BPE with Qwen's pipeline: NFC, Qwen's regex, no prefix space, 26 added tokens as the last of at most `tokens`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)])
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=tokens - len(ADDED_TOKENS), min_frequency=1, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.add_tokens([
        AddedToken(text, special=text in SPECIAL_TOKENS, normalized=False) for text in ADDED_TOKENS])
    return tokenizer


def train_tokenizer(toy: Toy) -> Tokenizer:
    # The second tokenizer reads the corpus with other weights: its merges are not an extension of the first one's.
    weights = [1 + (index * toy.seed) % 3 for index in range(len(token_cases.CORPUS))]
    tokenizer = train_bpe([line for line, times in zip(token_cases.CORPUS, weights) for _ in range(times)], toy.tokens)
    assert tokenizer.get_vocab_size() == toy.tokens and tokenizer.token_to_id("</think>") == toy.tokens - 1
    return tokenizer


def tokenizer_config(tokens: int) -> dict:
    """tokenizer_config.json as the Qwen3 repositories have it, for a vocabulary whose last ids are the added tokens."""
    first = tokens - len(ADDED_TOKENS)
    flags = dict(lstrip=False, normalized=False, rstrip=False, single_word=False)
    return {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": {
            str(first + index): {"content": text, **flags, "special": text in SPECIAL_TOKENS}
            for index, text in enumerate(ADDED_TOKENS)},
        "additional_special_tokens": SPECIAL_TOKENS[1:],
        "bos_token": None,
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": 131072,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }


def save_tokenizer(toy: Toy, folder: Path) -> None:
    """Writes tokenizer.json (toy_a) or vocab.json and merges.txt alone (toy_b)."""
    folder.mkdir(parents=True)
    tokenizer = train_tokenizer(toy)
    write_json(folder / "tokenizer_config.json", tokenizer_config(toy.tokens))
    if toy.old_style:
        tokenizer.model.save(str(folder))
    else:
        tokenizer.save(str(folder / "tokenizer.json"))
    check_tokenizer(tokenizer, folder)


def check_tokenizer(trained: Tokenizer, folder: Path) -> None:
    """The folder read by transformers gives the ids of the tokenizer as trained, and keeps the added tokens in order."""
    loaded = AutoTokenizer.from_pretrained(folder)
    assert type(loaded).__name__ == "Qwen2Tokenizer"
    assert loaded.convert_tokens_to_ids(ADDED_TOKENS) == [trained.token_to_id(text) for text in ADDED_TOKENS]
    for text in token_cases.all_texts():
        assert loaded(text).input_ids == trained.encode(text).ids, repr(text)


# ---------------------------------------------------------------- models

def make_text_encoder(toy: Toy) -> Qwen3ForCausalLM:
    sizes = dict(toy.text)
    theta = sizes.pop("theta")
    first = toy.tokens - len(ADDED_TOKENS)
    config = Qwen3Config(
        **sizes, rope_parameters={"rope_type": "default", "rope_theta": theta}, max_position_embeddings=40960,
        rms_norm_eps=1e-6, bos_token_id=first, eos_token_id=first + 2, attention_bias=False)
    model = Qwen3ForCausalLM(config)
    fill_weights(model, toy.seed)
    model.tie_weights()
    return storage_dtype(model, toy)


def make_transformer(toy: Toy) -> ZImageTransformer2DModel:
    model = ZImageTransformer2DModel(
        all_patch_size=[2], all_f_patch_size=[1], in_channels=16, norm_eps=1e-5, qk_norm=True, rope_theta=256.0, t_scale=1000.0,
        **toy.dit)
    fill_weights(model, toy.seed)
    return storage_dtype(model, toy)


def make_vae(toy: Toy) -> AutoencoderKL:
    levels = len(toy.vae["block_out_channels"])
    model = AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * levels, up_block_types=["UpDecoderBlock2D"] * levels, latent_channels=16,
        force_upcast=True, use_quant_conv=False, use_post_quant_conv=False, **toy.vae)
    fill_weights(model, toy.seed)
    return storage_dtype(model, toy)


def old_style_text_config(toy: Toy) -> dict:
    """text_encoder/config.json as transformers 4.51 wrote it: top-level rope_theta, torch_dtype, no layer_types."""
    sizes = dict(toy.text)
    theta = sizes.pop("theta")
    first = toy.tokens - len(ADDED_TOKENS)
    return {
        "architectures": ["Qwen3ForCausalLM"], "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": first,
        "eos_token_id": first + 2, "hidden_act": "silu", "initializer_range": 0.02, "max_position_embeddings": 40960,
        "max_window_layers": sizes["num_hidden_layers"], "model_type": "qwen3", "rms_norm_eps": 1e-06, "rope_scaling": None,
        "rope_theta": theta, "sliding_window": None, "torch_dtype": str(toy.dtype).removeprefix("torch."),
        "transformers_version": "4.51.0", "use_cache": True, "use_sliding_window": False, **sizes}


def save_text_encoder(toy: Toy, model: Qwen3ForCausalLM, folder: Path) -> None:
    """toy_a: as transformers writes a causal LM. toy_b: names without `model.`, lm_head beside them, old configuration."""
    if not toy.old_style:
        model.save_pretrained(folder, max_shard_size="1GB")
        return
    bare = {name.removeprefix("model."): tensor for name, tensor in model.state_dict().items()}
    model.save_pretrained(folder, state_dict=bare, max_shard_size=f"{toy.shard_kb['text_encoder']}KB")
    write_json(folder / "config.json", old_style_text_config(toy))
    (folder / "generation_config.json").unlink()


def save_checkpoint(toy: Toy, folder: Path) -> None:
    """Writes the whole folder, then loads it back with the unmodified pipeline."""
    shutil.rmtree(folder, ignore_errors=True)
    save_tokenizer(toy, folder / "tokenizer")
    text_encoder, transformer, vae = make_text_encoder(toy), make_transformer(toy), make_vae(toy)
    save_text_encoder(toy, text_encoder, folder / "text_encoder")
    transformer.save_pretrained(
        folder / "transformer", max_shard_size=f"{toy.shard_kb['transformer']}KB" if toy.shard_kb else "1GB")
    vae.save_pretrained(folder / "vae")
    scheduler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, use_dynamic_shifting=False, shift=toy.shift)
    scheduler.save_pretrained(folder / "scheduler")
    write_json(folder / "model_index.json", MODEL_INDEX)
    check_checkpoint(toy, folder, text_encoder, transformer, vae)


def check_checkpoint(toy: Toy, folder: Path, text_encoder, transformer, vae) -> None:
    """What was saved is what loads: every tensor, the rope theta, the shard counts, the storage type."""
    pipe = ZImagePipeline.from_pretrained(folder, dtype=toy.dtype)
    for made, loaded in ((text_encoder.model, pipe.text_encoder), (transformer, pipe.transformer), (vae, pipe.vae)):
        expected, found = made.state_dict(), loaded.state_dict()
        assert expected.keys() == found.keys()
        assert all(found[name].dtype == toy.dtype and torch.equal(expected[name], found[name]) for name in expected)
    causal = Qwen3ForCausalLM.from_pretrained(folder / "text_encoder", dtype=toy.dtype)
    assert torch.equal(causal.lm_head.weight, text_encoder.lm_head.weight)
    for config in (causal.config, pipe.text_encoder.config):
        assert config.rope_parameters == {"rope_type": "default", "rope_theta": toy.text["theta"]}, config.rope_parameters
    assert isinstance(pipe.text_encoder, Qwen3Model)
    for component in ("text_encoder", "transformer"):
        shards = list((folder / component).glob("*.safetensors"))
        assert len(shards) >= 2 if toy.shard_kb else len(shards) == 1


def write_json(path: Path, value) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=True) + "\n")
