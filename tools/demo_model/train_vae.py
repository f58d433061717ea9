"""Trains the demo model's VAE on drawn scenes until the judge accepts their reconstructions. Resumable, deterministic by seed.

    python train_vae.py --work FOLDER            trains; FOLDER/vae holds the checkpoint and FOLDER/vae.log the losses
    python train_vae.py --work FOLDER --check    judges reconstructions of true drawings with the finished VAE

Two phases: the whole autoencoder on 64x64 windows and then on whole pictures; afterwards every latent channel is given mean 0 and
deviation 1 by folding the two numbers into the encoder's last and the decoder's first convolution, so scaling_factor is 1.
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from judge import judge, summary
from progress import Log, keep_seed, load_state, save_state
from scenes import COLOURS, SHAPES, Thing, draw, layout, random_spec

WINDOW_STEPS, PICTURE_STEPS = 2400, 700
RATE, FINAL_RATE = 2e-3, 2e-5
KL_WEIGHT = 1e-3
PICTURE_SIDES = ((128, 128), (128, 128), (128, 128), (192, 128), (128, 192), (96, 96))


def make_vae() -> AutoencoderKL:
    """Two norm groups: with many groups a flat picture loses its colour in the norm and is learnt slowly."""
    vae = AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=16, block_out_channels=(32, 32, 64, 64), layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, norm_num_groups=2,
        sample_size=128, use_quant_conv=False, use_post_quant_conv=False, scaling_factor=1.0, shift_factor=0.0,
        force_upcast=False)
    vae.encoder.conv_out.bias.data[16:] = -4.0  # log variance: begin nearly without noise
    return vae


def random_scene(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Many shapes anywhere: more edges than the grammar's scenes have."""
    colours = [str(colour) for colour in rng.choice(list(COLOURS), 4, replace=False)]
    things = [Thing(str(rng.choice(SHAPES)), colours[1 + int(rng.integers(3))], rng.random(), rng.random(),
                    float(np.exp(rng.uniform(np.log(0.1), np.log(0.45))))) for _ in range(int(rng.integers(2, 6)))]
    return draw(things, colours[0], height, width)


def grammar_scene(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    spec = random_spec(rng)
    return draw(layout(spec, rng, height, width), spec.background, height, width)


def batch(seed: int, step: int) -> torch.Tensor:
    """Pictures [n, 3, height, width] in -1..1, the same for the same step whatever ran before."""
    rng = np.random.default_rng([seed, 1, step])
    pictures = []
    if step < WINDOW_STEPS:
        for index in range(16):
            if index % 2:
                pictures.append(random_scene(rng, 64, 64))
            else:
                y, x = rng.integers(0, 65, 2)
                pictures.append(grammar_scene(rng, 128, 128)[y:y + 64, x:x + 64])
    else:
        height, width = PICTURE_SIDES[rng.integers(len(PICTURE_SIDES))]
        for index in range(6):
            pictures.append((random_scene if index < 2 else grammar_scene)(rng, height, width))
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def loss_of(vae: AutoencoderKL, pictures: torch.Tensor, kl_weight: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The training loss and the mean squared error. Pixels near an edge count five times: flat areas are learnt soon, shapes late."""
    with torch.autocast("cpu", torch.bfloat16):
        posterior = vae.encode(pictures).latent_dist
        out = vae.decode(posterior.sample()).sample
    error = out.float() - pictures
    smooth = F.avg_pool2d(F.pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, 1)
    edge = F.max_pool2d((smooth - pictures).abs().amax(1, keepdim=True), 3, 1, 1) > 0.02
    weight = 1 + 4 * edge.float()
    mean, logvar = posterior.mean.float(), posterior.logvar.float()
    kl = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()
    loss = (weight * (error.abs() + 0.5 * error**2)).mean() + kl_weight * kl
    return loss, (error.detach() ** 2).mean()


def rate_at(step: int) -> float:
    """Warm-up, then a cosine; the second phase continues the same one."""
    part = step / (WINDOW_STEPS + PICTURE_STEPS)
    return min(1, (step + 1) / 60) * (FINAL_RATE + (RATE - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * part)))


def normalise_latents(vae: AutoencoderKL, seed: int) -> None:
    """Folds mean and deviation of each latent channel over grammar scenes into the convolutions at both ends."""
    rng = np.random.default_rng([seed, 2])
    latents = torch.cat([encode(vae, [grammar_scene(rng, 128, 128) for _ in range(50)]) for _ in range(6)])
    mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    last, first = vae.encoder.conv_out, vae.decoder.conv_in
    with torch.no_grad():
        first.bias += (first.weight * mean[None, :, None, None]).sum((1, 2, 3))
        first.weight *= deviation[None, :, None, None]
        last.weight[:16] /= deviation[:, None, None, None]
        last.bias[:16] = (last.bias[:16] - mean) / deviation
        last.bias[16:] -= 2 * deviation.log()


@torch.no_grad()
def encode(vae: AutoencoderKL, pictures: list[np.ndarray]) -> torch.Tensor:
    """Latents [n, 16, height/8, width/8], the posterior's mean, fp32."""
    values = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return vae.encode(values).latent_dist.mean


@torch.no_grad()
def decode(vae: AutoencoderKL, latents: torch.Tensor) -> np.ndarray:
    """Pictures uint8 [n, height, width, 3]."""
    out = vae.decode(latents).sample
    return (out / 2 + 0.5).clamp(0, 1).mul(255).round().permute(0, 2, 3, 1).to(torch.uint8).numpy()


def check(vae: AutoencoderKL, count: int, seed: int, noise: float = 0.0) -> tuple[str, float]:
    """The judge's table over reconstructions, and the part that is all right."""
    rng = np.random.default_rng([seed, 3])
    generator = torch.Generator().manual_seed(seed)
    specs, results = [], []
    while len(specs) < count:
        chosen = [random_spec(rng) for _ in range(20)]
        latents = encode(vae, [draw(layout(spec, rng, 128, 128), spec.background, 128, 128) for spec in chosen])
        latents = latents + noise * torch.randn(latents.shape, generator=generator)
        results += [judge(spec, picture) for spec, picture in zip(chosen, decode(vae, latents))]
        specs += chosen
    return summary(specs, results), float(np.mean([result["all"] for result in results]))


def train(work: Path, seed: int) -> AutoencoderKL:
    torch.manual_seed(seed)
    vae = make_vae().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(vae.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=0.01)
    state = work / "vae.state"
    step = load_state(state, vae=vae, optimiser=optimiser)
    log, begun, errors = Log(work / "vae.log"), time.time(), []
    while step < WINDOW_STEPS + PICTURE_STEPS:
        for group in optimiser.param_groups:
            group["lr"] = rate_at(step)
        torch.manual_seed(seed * 1_000_003 + step)  # the posterior's noise: the same after a resume
        pictures = batch(seed, step).to(memory_format=torch.channels_last)
        loss, error = loss_of(vae, pictures, KL_WEIGHT * min(1, step / 2000))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimiser.step()
        step += 1
        errors.append(float(error))
        if step % 100 == 0:
            log.write(f"step {step} psnr {10 * np.log10(4 / np.mean(errors)):.2f} rate {rate_at(step):.2e} "
                      f"seconds {time.time() - begun:.0f}")
            errors = []
        if step % 500 == 0:
            save_state(state, step, vae=vae, optimiser=optimiser)
            log.write(f"step {step} reconstructions all right {100 * check(vae, 60, seed)[1]:.1f} %")
    return vae


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder of checkpoints and logs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--check", action="store_true", help="only judge reconstructions of the finished VAE")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if not options.check:
        keep_seed(options.work / "vae.seed", options.seed)
        vae = train(options.work, options.seed).to(memory_format=torch.contiguous_format)
        normalise_latents(vae, options.seed)
        vae.save_pretrained(options.work / "vae")
    vae = AutoencoderKL.from_pretrained(options.work / "vae")
    for noise in (0.0, 0.1):
        Log(options.work / "vae.log").write(
            f"reconstructions of 300 drawings, latent noise {noise}:\n{check(vae, 300, options.seed + 1, noise)[0]}")


if __name__ == "__main__":
    main()
