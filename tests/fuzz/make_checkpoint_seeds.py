"""Writes the seeds of checkpoint_fuzz: whole checkpoints of small latents (render_node/jobs/checkpoint_format.h)."""
import hashlib
import pathlib
import struct

FOLDER = pathlib.Path(__file__).parent / "seeds" / "checkpoint"
JOB_ID = b"01ARYZ6S410000000000000000"


def checkpoint(step, channels, height, width, determinants=b"seed 1", timings=b"{}", version=1, job_id=JOB_ID) -> bytes:
    numbers = struct.pack("<4i2I", step, channels, height, width, len(determinants), len(timings))
    values = struct.pack(f"<{channels * height * width}f", *(i / 4 for i in range(channels * height * width)))
    body = b"DIPTYCKP" + struct.pack("<I", version) + job_id + numbers + determinants + timings + values
    return body + hashlib.sha256(body).hexdigest().encode()


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    seeds = {
        "small.bin": checkpoint(3, 2, 1, 3),
        "without_texts.bin": checkpoint(0, 1, 1, 1, b"", b""),
        "sixteen_channels.bin": checkpoint(8, 16, 2, 4, b'{"seed":1,"steps":9}', b'{"refine_ms":1.5}'),
        "newer_version.bin": checkpoint(3, 2, 1, 3, version=2),
        "another_job.bin": checkpoint(3, 2, 1, 3, job_id=JOB_ID[:-1] + b"1"),
    }
    for name, data in seeds.items():
        (FOLDER / name).write_bytes(data)


if __name__ == "__main__":
    main()
