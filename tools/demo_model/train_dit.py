"""Trains the demo model's text encoder and transformer together on encoded drawings, then writes the checkpoint folder.

    python train_dit.py --work FOLDER --out models/demo

FOLDER/vae is train_vae.py's result. Resumable: every step's data depends on the seed and the step alone, and FOLDER/dit.state holds
weights, their running average and the optimisers. FOLDER/dit.log has the losses and the judge's figures on held-out specs.
"""

import argparse
import copy
import os
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from tokenizers import Tokenizer

import model
from judge import judge
from progress import Log, keep_seed, load_state, save_state
from scenes import caption, draw, evaluation_specs, layout, long_caption, training_spec
from train_vae import decode, encode

BATCH_TOKENS = 6144  # image and caption tokens of one step
SIDES = (((128, 128), 0.70), ((128, 192), 0.07), ((192, 128), 0.07), ((96, 96), 0.08), ((160, 160), 0.08))
FIRST_PICTURES, NEW_PICTURES, KEPT_PICTURES = 1000, 6, 20_000  # encoded drawings per size: at first, per step, at most
RATE, FINAL_RATE = 2e-3, 4e-5
FALL = 0.5  # the rate is constant for this part of the steps, then falls linearly
LONG_CAPTIONS = 0.05  # part of the steps


class Drawings:
    """Encoded drawings of one size: a ring that grows with every step that uses it."""

    def __init__(self, vae: AutoencoderKL, seed: int, height: int, width: int):
        self.vae, self.seed, self.height, self.width = vae, seed, height, width
        self.latents = torch.zeros(KEPT_PICTURES, 16, height // 8, width // 8, dtype=torch.bfloat16)
        self.specs = [None] * KEPT_PICTURES
        self.drawn = 0

    def grow(self, target: int) -> None:
        """Draws until `target` pictures were drawn in all; those that the ring no longer holds are passed over."""
        self.drawn = max(self.drawn, target - KEPT_PICTURES)
        while self.drawn < target:
            indices = range(self.drawn, min(self.drawn + 32, target))
            pictures = []
            for index in indices:
                rng = np.random.default_rng([self.seed, 5, self.height, self.width, index])
                spec = training_spec(rng)
                self.specs[index % KEPT_PICTURES] = spec
                pictures.append(draw(layout(spec, rng, self.height, self.width), spec.background, self.height, self.width))
            with torch.autocast("cpu", torch.bfloat16):
                latents = encode(self.vae, pictures)
            self.latents[[index % KEPT_PICTURES for index in indices]] = latents.to(torch.bfloat16)
            self.drawn = indices[-1] + 1

    def pick(self, rng: np.random.Generator, count: int) -> tuple[torch.Tensor, list]:
        chosen = rng.integers(0, min(self.drawn, KEPT_PICTURES), count)
        return self.latents[torch.from_numpy(chosen)].float(), [self.specs[index] for index in chosen]


class Batches:
    """The data of each step."""

    def __init__(self, vae: AutoencoderKL, tokenizer: Tokenizer, seed: int):
        self.tokenizer, self.seed = tokenizer, seed
        self.drawings = {side: Drawings(vae, seed, *side) for side, _ in SIDES}
        self.used = {side: 0 for side, _ in SIDES}  # steps so far, by size
        self.step = 0

    def side_of(self, step: int) -> tuple:
        pick = np.random.default_rng([self.seed, 6, step]).random()
        for side, part in SIDES:
            pick -= part
            if pick < 0:
                return side
        return SIDES[0][0]

    @staticmethod
    def native_tokens() -> int:
        """Image and caption tokens of most steps."""
        (height, width), _ = SIDES[0]
        return model.padded(height * width // 256) + model.CAPTION_BLOCK

    def at(self, step: int) -> dict:
        """Latents, noise, sigma, ids and lengths of a step; steps must be asked for in rising order."""
        while self.step <= step:
            side = self.side_of(self.step)
            self.used[side] += 1
            self.step += 1
        store = self.drawings[side]
        store.grow(FIRST_PICTURES + NEW_PICTURES * self.used[side])
        rng = np.random.default_rng([self.seed, 7, step])
        blocks = 2 if rng.random() < LONG_CAPTIONS else 1
        image_tokens = model.padded(side[0] * side[1] // 256)
        count = BATCH_TOKENS // (image_tokens + blocks * model.CAPTION_BLOCK)
        latents, specs = store.pick(rng, count)
        ids, lengths = model.pad_ids([self.worded(rng, spec, blocks) for spec in specs])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        noise = torch.randn(latents.shape, generator=generator)
        logit_normal = torch.sigmoid(torch.randn(count, generator=generator))
        uniform = torch.rand(count, generator=generator)
        base = torch.where(torch.rand(count, generator=generator) < 0.65, logit_normal, uniform)
        sigma = model.SHIFT * base / (1 + (model.SHIFT - 1) * base)
        return dict(latents=latents, noise=noise, sigma=sigma, ids=ids, lengths=lengths)

    def worded(self, rng: np.random.Generator, spec, blocks: int) -> list[int]:
        """A fresh wording of the spec whose length needs exactly `blocks` blocks."""
        while True:
            text = (caption if blocks == 1 else long_caption)(rng, spec)
            ids = self.tokenizer.encode(model.frame(text)).ids
            if model.padded(len(ids)) == blocks * model.CAPTION_BLOCK:
                return ids


class Trainer:
    """fp32 weights with their optimisers and running average, and the bf16 copy that computes."""

    def __init__(self, tokens: int, seed: int):
        self.text_encoder, self.transformer = model.make_text_encoder(tokens), model.make_transformer()
        model.initialise(self.text_encoder, self.transformer, seed)
        self.weights = torch.nn.ModuleList([self.text_encoder, self.transformer])
        self.average = copy.deepcopy(self.weights).requires_grad_(False)
        self.fast = copy.deepcopy(self.weights).to(torch.bfloat16)
        matrices, table, others = [], [], []
        for name, value in self.weights.named_parameters():
            if "embed_tokens" in name:
                table.append(value)
            elif value.ndim == 2 and ("layers." in name or "refiner." in name):
                matrices.append(value)
            else:
                others.append(value)
        self.muon = torch.optim.Muon(matrices, lr=RATE, momentum=0.95, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
        self.adam = torch.optim.AdamW([dict(params=others, scale=1.0), dict(params=table, scale=4.0)], lr=RATE, betas=(0.9, 0.98),
                                      weight_decay=0.01)

    def parts(self) -> dict:
        return dict(weights=self.weights, average=self.average, muon=self.muon, adam=self.adam)

    def refresh(self) -> None:
        """Rounds the weights into the bf16 copy."""
        with torch.no_grad():
            torch._foreach_copy_(list(self.fast.parameters()), list(self.weights.parameters()))

    def step(self, data: dict, rate: float, decay: float) -> float:
        """One optimiser step; returns the loss."""
        text_encoder, transformer = self.fast
        sigma = data["sigma"][:, None, None, None]
        noisy = (1 - sigma) * data["latents"] + sigma * data["noise"]
        states = model.text_states(text_encoder, data["ids"])
        out = model.velocity(transformer, noisy, 1 - data["sigma"], states, data["lengths"])
        loss = (out.float() - (data["latents"] - data["noise"])).square().mean()
        loss.backward()
        for value, fast in zip(self.weights.parameters(), self.fast.parameters()):
            value.grad = None if fast.grad is None else fast.grad.float()
            fast.grad = None
        torch.nn.utils.clip_grad_norm_(self.weights.parameters(), 1.0)
        for group in self.muon.param_groups:
            group["lr"] = rate
        for group in self.adam.param_groups:
            group["lr"] = rate * group["scale"]
        self.muon.step()
        self.adam.step()
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.weights.parameters()), 1 - decay)
        self.refresh()
        return loss.item()


def rate_at(step: int, steps: int) -> float:
    falling = max(0.0, (step / steps - FALL) / (1 - FALL))
    return min(1, (step + 1) / 100) * (RATE + (FINAL_RATE - RATE) * falling)


def evaluate(trainer: Trainer, vae: AutoencoderKL, tokenizer: Tokenizer, count: int, seed: int) -> str:
    """The judge's figures on held-out specs, half of them with unseen pairs, sampled with the averaged weights."""
    specs = evaluation_specs(seed, count // 2, count - count // 2)
    rng = np.random.default_rng([seed, 8])
    ids = []
    for spec in specs:
        while len(row := tokenizer.encode(model.frame(caption(rng, spec))).ids) > model.CAPTION_BLOCK:
            pass
        ids.append(row)
    text_encoder, transformer = trainer.average
    pictures = decode(vae, model.sample(transformer, text_encoder, ids, 128, 128, seed))
    results = [judge(spec, picture) for spec, picture in zip(specs, pictures)]
    figures = []
    for question in ("background", "colour", "position", "relation", "count", "shape", "all"):
        asked = [result[question] for result in results if question in result]
        figures.append(f"{question} {100 * np.mean(asked):.0f}")
    return " ".join(figures) + f" (seen {100 * np.mean([r['all'] for r in results[:count // 2]]):.0f})"


def train(work: Path, seed: int, steps: int, vae: AutoencoderKL, tokenizer: Tokenizer) -> Trainer:
    trainer = Trainer(tokenizer.get_vocab_size(), seed)
    state = work / "dit.state"
    step = load_state(state, **trainer.parts())
    trainer.refresh()
    log, batches = Log(work / "dit.log"), Batches(vae, tokenizer, seed)
    worst = model.check_forward(trainer.average[1], trainer.average[0])
    model.compile_blocks(batches.native_tokens())
    log.write(f"from step {step}; batched forward against the reference: {worst:.1e}")
    assert worst < 1e-4
    losses, begun, first = [], time.time(), step
    while step < steps:
        if step % 20 == 0:  # as many threads as cores that it may use: `taskset -ap` gives and takes some while it runs
            torch.set_num_threads(len(os.sched_getaffinity(0)))
        losses.append(trainer.step(batches.at(step), rate_at(step, steps), min(0.999, 1 - 1 / (step / 5 + 2))))
        step += 1
        if step % 100 == 0:
            pace = (time.time() - begun) / (step - first)
            log.write(f"step {step} loss {np.mean(losses):.4f} rate {rate_at(step, steps):.2e} seconds a step {pace:.3f}")
            losses = []
        if step % 500 == 0:
            save_state(state, step, **trainer.parts())
        if step % 1000 == 0:
            log.write(f"step {step} {evaluate(trainer, vae, tokenizer, 64, seed)}")
    save_state(state, step, **trainer.parts())
    return trainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder of checkpoints and logs; holds vae/")
    parser.add_argument("--out", type=Path, help="the checkpoint folder to write; default: WORK/out")
    parser.add_argument("--steps", type=int, default=3400)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    keep_seed(options.work / "dit.seed", options.seed)
    vae = AutoencoderKL.from_pretrained(options.work / "vae").requires_grad_(False)
    tokenizer_file = options.work / "tokenizer.json"
    if not tokenizer_file.exists():
        model.make_tokenizer(options.seed).save(str(tokenizer_file))
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    trainer = train(options.work, options.seed, options.steps, vae, tokenizer)
    Log(options.work / "dit.log").write("held out: " + evaluate(trainer, vae, tokenizer, 300, options.seed + 1))
    model.save_folder(options.out or options.work / "out", tokenizer, *trainer.average, vae)


if __name__ == "__main__":
    main()
