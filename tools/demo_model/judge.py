"""Says whether pictures show what their prompts ask for, by plain measurement: no model takes part.

    python judge.py --specs prompts.jsonl --pictures FOLDER     judges FOLDER/0000.png, 0001.png ... in the order of the file
    python judge.py --self-test                                 the judge's own error, on 1000 drawn scenes

Method: every pixel takes the nearest palette colour; the border's commonest colour is the background; connected areas of every
other colour, after an opening that removes the blended rim of shapes, are the objects. An object's shape is the one of eight
whose drawing, scaled to the object's box, overlaps it best.
"""

import argparse
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from scenes import COLOURS, POSITIONS, SHAPES, SIZES, UNSEEN_PAIRS, Group, Spec, distance, draw, layout, random_spec

PALETTE = np.array(list(COLOURS.values()), np.int32)
NAMES = list(COLOURS)
SMALLEST_AREA = 0.004  # of the picture; smaller specks are not objects
NOT_COUNTED = ("flat", "outline")  # how clean the picture is, beside what the prompt asks for: not part of `all`


@dataclass
class Found:
    """An object in a picture: centre as part of width and height, half extent as part of the shorter side."""

    colour: str
    x: float
    y: float
    radius: float
    area: int
    mask: np.ndarray  # bool, the whole picture
    box: tuple


def find_objects(picture: np.ndarray) -> tuple[str, list[Found]]:
    """The background colour and all objects of a uint8 [height, width, 3] picture."""
    height, width, _ = picture.shape
    labels = ((picture[:, :, None].astype(np.int32) - PALETTE) ** 2).sum(-1).argmin(-1)
    border = np.concatenate([labels[:2].ravel(), labels[-2:].ravel(), labels[:, :2].ravel(), labels[:, -2:].ravel()])
    background = int(np.bincount(border, minlength=len(NAMES)).argmax())
    found = []
    for index, colour in enumerate(NAMES):
        if index == background:
            continue
        areas, count = ndimage.label(ndimage.binary_opening(labels == index, np.ones((3, 3))))
        for number in range(1, count + 1):
            # The opening also took the shape's tips: they are given back.
            mask = ndimage.binary_dilation(areas == number, np.ones((3, 3)), 2) & (labels == index)
            area = int(mask.sum())
            if area < SMALLEST_AREA * height * width:
                continue
            rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
            box = (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1)
            extent = max(box[1] - box[0], box[3] - box[2])
            found.append(Found(colour, (box[2] + box[3]) / 2 / width, (box[0] + box[1]) / 2 / height,
                               extent / 2 / min(height, width), area, mask, box))
    return NAMES[background], found


@cache
def drawn_large(shape: str) -> np.ndarray:
    """The shape at radius 200 in a bool [440, 440] picture."""
    axis = (np.arange(440) + 0.5) / 200 - 1.1
    return distance(shape, *np.meshgrid(axis, axis)) <= 0


def template(shape: str, height: int, width: int) -> np.ndarray:
    """The shape stretched to fill a box."""
    inside = drawn_large(shape)
    rows, columns = np.nonzero(inside.any(1))[0], np.nonzero(inside.any(0))[0]
    y = rows[0] + (np.arange(height) + 0.5) * (rows[-1] + 1 - rows[0]) / height
    x = columns[0] + (np.arange(width) + 0.5) * (columns[-1] + 1 - columns[0]) / width
    return inside[y.astype(int)[:, None], x.astype(int)[None, :]]


def shape_of(mask: np.ndarray) -> str:
    """The best of the eight shapes for a mask cropped to its box."""
    overlaps = {}
    for shape in SHAPES:
        other = template(shape, *mask.shape)
        overlaps[shape] = (mask & other).sum() / (mask | other).sum()
    return max(overlaps, key=overlaps.get)


def split_groups(spec: Spec, found: list[Found]) -> list[list[Found]]:
    """Objects that belong to each group: by colour, and where both groups have the same colour by their order."""
    if len({group.colour for group in spec.groups}) == len(spec.groups):
        return [[item for item in found if item.colour == group.colour] for group in spec.groups]
    key = {"above": lambda item: item.y, "below": lambda item: -item.y, "left": lambda item: item.x,
           "right": lambda item: -item.x}[spec.relation]
    ordered = sorted((item for item in found if item.colour == spec.groups[0].colour), key=key)
    return [ordered[: spec.groups[0].count], ordered[spec.groups[0].count:]]


def judge(spec: Spec, picture: np.ndarray) -> dict[str, bool]:
    """What is right in the picture. A question that the spec does not ask is missing; `all` is every question at once."""
    background, found = find_objects(picture)
    right = {"background": background == spec.background}
    wanted = {group.colour for group in spec.groups}
    right["colour"] = {item.colour for item in found} == wanted
    groups = split_groups(spec, found) if spec.groups else []
    right["count"] = len(found) == sum(group.count for group in spec.groups) and all(
        len(items) == group.count for group, items in zip(spec.groups, groups))
    if spec.groups:
        right["shape"] = all(items and all(has_shape(item, group, found) for item in items)
                             for group, items in zip(spec.groups, groups))
    if spec.relation:
        right["relation"] = all(groups) and related(spec.relation, *groups)
    if spec.kind == "single":
        item = max(found, key=lambda item: item.area, default=None)
        right["position"] = item is not None and zone(item.x, item.y) == POSITIONS[spec.position or "center"]
        if spec.groups[0].size:
            right["size"] = item is not None and size_of(item) == spec.groups[0].size
    return {**right, "all": all(right.values()), "flat": is_flat(picture, background, found),
            "outline": bool(found) and all(has_outline(item, found) for item in found) if spec.groups else True}


def is_flat(picture: np.ndarray, background: str, found: list[Found]) -> bool:
    """Away from the edges at least 99 % of the background's and of every object's pixels are near their palette colour."""
    edges = np.ones(picture.shape[:2], bool)
    areas = []
    for item in found:
        areas.append((item.colour, ndimage.binary_erosion(item.mask, np.ones((3, 3)), 2)))
        edges &= ~ndimage.binary_dilation(item.mask, np.ones((3, 3)), 3)
    areas.append((background, edges))
    for colour, area in areas:
        away = np.abs(picture[area].astype(np.int32) - np.array(COLOURS[colour])).max(-1, initial=0)
        if area.any() and np.mean(away <= 32) < 0.99:
            return False
    return True


def has_outline(item: Found, found: list[Found]) -> bool:
    """The object and the drawing of its shape, scaled to its box, share 0.82 of what they cover together; true drawings do in 99 %."""
    mask = mask_of(item, found)
    other = template(shape_of(mask), *mask.shape)
    return (mask & other).sum() >= 0.82 * (mask | other).sum()


def mask_of(item: Found, found: list[Found]) -> np.ndarray:
    """The object in its box."""
    y0, y1, x0, x1 = item.box
    mask = item.mask[y0:y1, x0:x1]
    within = [other for other in found if other is not item and y0 < other.box[0] and other.box[1] < y1
              and x0 < other.box[2] and other.box[3] < x1]
    if within:  # something stands inside: its hole belongs to the outer shape
        mask = ndimage.binary_fill_holes(mask)
    return mask


def has_shape(item: Found, group: Group, found: list[Found]) -> bool:
    return shape_of(mask_of(item, found)) == group.shape


def related(relation: str, first: list[Found], second: list[Found]) -> bool:
    if relation == "inside":
        inner, outer = first[0].box, second[0].box
        return outer[0] < inner[0] and inner[1] < outer[1] and outer[2] < inner[2] and inner[3] < outer[3]
    axis, sign = {"above": ("y", 1), "below": ("y", -1), "left": ("x", 1), "right": ("x", -1)}[relation]
    middle = [np.mean([getattr(item, axis) for item in items]) for items in (first, second)]
    return sign * (middle[1] - middle[0]) > 0.15


def zone(x: float, y: float) -> tuple:
    """The place of POSITIONS in whose third of the picture the point lies."""
    def third(value):
        return 0.22 if value < 0.4 else 0.5 if value < 0.6 else 0.78
    return third(x), third(y)


def size_of(item: Found) -> str:
    return min(SIZES, key=lambda name: abs(np.log(item.radius / (SIZES[name] * extent_of(item)))))


def extent_of(item: Found) -> float:
    """How far the object's shape reaches when its radius is 1."""
    y0, y1, x0, x1 = item.box
    inside = drawn_large(shape_of(item.mask[y0:y1, x0:x1]))
    return max(np.ptp(np.nonzero(inside.any(0))[0]), np.ptp(np.nonzero(inside.any(1))[0])) / 400


def summary(specs: list[Spec], results: list[dict]) -> str:
    """Per cent right per question, for all, for trained and untrained shape and colour pairs, and for each kind."""
    questions = ["background", "colour", "position", "relation", "count", "size", "shape", "all", *NOT_COUNTED]
    sets = {"all": [True] * len(specs), "seen pairs": [not spec.pairs() & UNSEEN_PAIRS for spec in specs],
            "unseen pairs": [bool(spec.pairs() & UNSEEN_PAIRS) for spec in specs]}
    for kind in dict.fromkeys(spec.kind for spec in specs):
        sets[kind] = [spec.kind == kind for spec in specs]
    lines = ["| set | pictures | " + " | ".join(questions) + " |", "|---" * (len(questions) + 2) + "|"]
    for name, members in sets.items():
        chosen = [result for result, member in zip(results, members) if member]
        if not chosen:
            continue
        cells = []
        for question in questions:
            asked = [result[question] for result in chosen if question in result]
            cells.append(f"{100 * np.mean(asked):.1f}" if asked else "-")
        lines.append(f"| {name} | {len(chosen)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def read_specs(path: Path) -> list[Spec]:
    return [Spec.from_json(json.loads(line)["spec"]) for line in path.read_text().splitlines()]


def self_test(count: int, side: int) -> tuple[list[Spec], list[dict]]:
    rng = np.random.default_rng(11)
    specs = [random_spec(rng) for _ in range(count)]
    return specs, [judge(spec, draw(layout(spec, rng, side, side), spec.background, side, side)) for spec in specs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--self-test", action="store_true", help="judge drawn scenes: what is not right is the judge's error")
    parser.add_argument("--specs", type=Path, help="JSON lines with a spec each, as prompts.py writes them")
    parser.add_argument("--pictures", type=Path, help="folder of 0000.png, 0001.png, ...")
    parser.add_argument("--wrong", action="store_true", help="list the pictures that are not all right")
    options = parser.parse_args()
    if options.self_test:
        specs, results = self_test(1000, 128)
    elif options.specs and options.pictures:
        specs = read_specs(options.specs)
        results = [judge(spec, np.array(Image.open(options.pictures / f"{index:04}.png").convert("RGB")))
                   for index, spec in enumerate(specs)]
    else:
        parser.error("give --specs and --pictures, or --self-test")
    print(summary(specs, results))
    if options.wrong:
        for index, (spec, result) in enumerate(zip(specs, results)):
            if not result["all"]:
                print(index, [name for name, value in result.items() if not value], json.dumps(spec.to_json()))


if __name__ == "__main__":
    main()
