"""What the demo model draws: a grammar of flat coloured shapes, its captions, and the drawing of a scene.

A `Spec` is what a caption says and what the judge measures; `layout` places its shapes with a little freedom; `draw` paints
them. Everything random comes from the numpy generator passed in.
"""

import hashlib
import json
from dataclasses import asdict, dataclass

import numpy as np

# Colours far apart in RGB; grey and brown were left out because they lie between others.
COLOURS = {
    "red": (222, 36, 36), "green": (34, 160, 60), "blue": (36, 76, 220), "yellow": (252, 220, 40), "orange": (250, 138, 24),
    "purple": (128, 40, 176), "pink": (252, 150, 200), "cyan": (60, 214, 226), "black": (16, 16, 16), "white": (250, 250, 250)}
SHAPES = ("circle", "square", "triangle", "star", "heart", "ring", "diamond", "cross")
SIZES = {"small": 0.135, "medium": 0.2, "large": 0.3}  # half extent, as part of the picture's shorter side
POSITIONS = {  # centre as part of width and height
    "top left": (0.22, 0.22), "top": (0.5, 0.22), "top right": (0.78, 0.22), "left": (0.22, 0.5), "center": (0.5, 0.5),
    "right": (0.78, 0.5), "bottom left": (0.22, 0.78), "bottom": (0.5, 0.78), "bottom right": (0.78, 0.78)}

# Pairs that text encoder and transformer never see: a right picture of one shows that they combine rather than remember. (The VAE and the
# tokenizer are trained on all.)
UNSEEN_PAIRS = {("red", "star"), ("blue", "heart"), ("green", "circle"), ("yellow", "ring"), ("purple", "triangle"),
                ("orange", "square"), ("pink", "diamond"), ("cyan", "cross")}


@dataclass(frozen=True)
class Group:
    """`count` equal shapes; several of them stand in a row."""

    count: int
    colour: str
    shape: str
    size: str | None = None  # stated for single objects only


@dataclass(frozen=True)
class Spec:
    """What a caption says. `kind`: single, pair, row, rows, inside, plain. `relation` says how group 0 lies to group 1."""

    kind: str
    background: str
    groups: tuple[Group, ...] = ()
    relation: str | None = None  # above, below, left, right, inside
    position: str | None = None  # of a single object; None: in the middle

    def pairs(self) -> set:
        return {(group.colour, group.shape) for group in self.groups}

    def to_json(self) -> dict:
        return asdict(self)

    @staticmethod
    def from_json(value: dict) -> "Spec":
        return Spec(**{**value, "groups": tuple(Group(**group) for group in value["groups"])})


def held_out(spec: Spec) -> bool:
    """One spec in twenty is kept from training, chosen by a digest so that every script agrees, and all unseen pairs."""
    digest = hashlib.sha256(json.dumps(spec.to_json(), sort_keys=True).encode()).digest()
    return digest[0] % 20 == 0 or bool(spec.pairs() & UNSEEN_PAIRS)


# ---------------------------------------------------------------- specs

KINDS = (("single", 0.42), ("pair", 0.24), ("row", 0.12), ("rows", 0.12), ("inside", 0.07), ("plain", 0.03))


def random_spec(rng: np.random.Generator, kinds=KINDS) -> Spec:
    names, weights = zip(*kinds)
    kind = names[rng.choice(len(names), p=np.array(weights) / sum(weights))]
    colours = list(COLOURS)
    background = "white" if rng.random() < 0.3 else str(rng.choice(colours))
    free = [colour for colour in colours if colour != background]

    def group(count=1, size=None, but=None):
        return Group(count, str(rng.choice([colour for colour in free if colour != but])), str(rng.choice(SHAPES)), size)

    if kind == "plain":
        return Spec(kind, background)
    if kind == "single":
        size = str(rng.choice(list(SIZES))) if rng.random() < 0.35 else None
        position = str(rng.choice(list(POSITIONS))) if rng.random() < 0.55 else None
        return Spec(kind, background, (group(size=size),), position=position)
    if kind == "pair":
        return Spec(kind, background, (group(), group()), str(rng.choice(["above", "below", "left", "right"])))
    if kind == "row":
        return Spec(kind, background, (group(int(rng.integers(2, 5))),))
    if kind == "rows":
        counts = [(1, 2), (2, 1), (2, 2), (1, 3), (3, 1), (2, 3), (3, 2), (3, 3)][rng.integers(8)]
        return Spec(kind, background, (group(counts[0]), group(counts[1])), str(rng.choice(["above", "below"])))
    outer = Group(1, str(rng.choice(free)), str(rng.choice(["circle", "square"])))
    inner = group(but=outer.colour)
    while inner.shape == "ring":  # its hole would be a third object of the outer colour
        inner = group(but=outer.colour)
    return Spec(kind, background, (inner, outer), "inside")


def training_spec(rng: np.random.Generator) -> Spec:
    while held_out(spec := random_spec(rng)):
        pass
    return spec


def evaluation_specs(seed: int, seen: int, unseen: int, kinds=KINDS) -> list[Spec]:
    """`seen` held-out specs of trained shape and colour pairs, then `unseen` specs that hold at least one unseen pair."""
    rng = np.random.default_rng([seed, 99])
    found = {False: [], True: []}
    while len(found[False]) < seen or len(found[True]) < unseen:
        spec = random_spec(rng, kinds)
        pair = bool(spec.pairs() & UNSEEN_PAIRS)
        if held_out(spec) and spec not in found[pair] and len(found[pair]) < (unseen if pair else seen):
            found[pair].append(spec)
    return found[False] + found[True]


# ---------------------------------------------------------------- captions

SYNONYMS = {"cyan": ["cyan", "cyan", "turquoise"], "purple": ["purple", "purple", "violet"],
            "small": ["small", "small", "little", "tiny"], "large": ["large", "big", "huge"], "medium": ["medium", "medium sized"],
            "circle": ["circle", "circle", "circle", "disc"], "ring": ["ring", "ring", "ring", "donut"],
            "diamond": ["diamond", "diamond", "diamond", "rhombus"], "cross": ["cross", "cross", "cross", "plus sign"]}
PLURALS = {"cross": "crosses", "rhombus": "rhombuses"}
NUMBERS = {2: "two", 3: "three", 4: "four"}
PLACES = {
    "top left": ["in the top left corner", "in the upper left corner", "at the top left"],
    "top right": ["in the top right corner", "in the upper right corner", "at the top right"],
    "bottom left": ["in the bottom left corner", "in the lower left corner", "at the bottom left"],
    "bottom right": ["in the bottom right corner", "in the lower right corner", "at the bottom right"],
    "top": ["at the top", "at the top center"], "bottom": ["at the bottom", "at the bottom center"],
    "left": ["on the left", "on the left side"], "right": ["on the right", "on the right side"],
    "center": ["in the center", "in the middle", "in the centre"]}
RELATIONS = {"above": ["above", "above", "over"], "below": ["below", "below", "under", "beneath"],
             "left": ["to the left of", "to the left of", "left of"], "right": ["to the right of", "to the right of", "right of"],
             "inside": ["inside", "inside", "in"]}
LEADS = ["draw ", "please draw ", "a picture of ", "an image of ", "a drawing of ", "a simple picture of ", "show "]
TAILS = [", flat colors", ", minimal", ", simple", ", clean", ", vector art", ", high quality", ", sharp"]
FILLER = ["The picture is simple and clean.", "It has flat colors and sharp edges.", "There is nothing else in the picture.",
          "The style is minimal vector art.", "High quality, very sharp.", "No text, no frame, no shadow.",
          "A plain drawing for a children's book."]


def pick(rng: np.random.Generator, values):
    return values[int(rng.integers(len(values)))]


def word(rng: np.random.Generator, name: str) -> str:
    return pick(rng, SYNONYMS.get(name, [name]))


def noun_phrase(rng: np.random.Generator, group: Group) -> str:
    words = [word(rng, group.colour), word(rng, group.shape)]
    if group.size:
        words.insert(0, word(rng, group.size))
    if group.count > 1:
        words[-1] = PLURALS.get(words[-1], words[-1] + "s")
        return " ".join([NUMBERS[group.count] if rng.random() < 0.85 else str(group.count), *words])
    if rng.random() < 0.1:
        return " ".join(words)
    article = "the" if rng.random() < 0.06 else "an" if words[0][0] in "aeiou" else "a"
    return " ".join([article, *words])


def caption(rng: np.random.Generator, spec: Spec) -> str:
    """One wording of the spec; another draw gives another wording."""
    background = word(rng, spec.background)
    article = "an" if background[0] in "aeiou" else "a"
    if spec.kind == "plain":
        text = pick(rng, [f"{article} plain {background} background", f"{background} background", f"a {background} picture"
                          if article == "a" else f"an {background} picture", f"plain {background}", f"nothing but {background}"])
    else:
        text = noun_phrase(rng, spec.groups[0])
        if spec.relation:
            side_by_side = spec.relation == "left" and rng.random() < 0.4
            relation = pick(rng, ["and", "next to"]) if side_by_side else pick(rng, RELATIONS[spec.relation])
            text += f" {relation} {noun_phrase(rng, spec.groups[1])}"
        if spec.position:
            text += " " + pick(rng, PLACES[spec.position])
        if spec.background != "white" or rng.random() < 0.4:
            way = rng.random()
            if way < 0.15:
                text = f"{background} background, {text}"
            elif way < 0.25:
                text = f"on {article} {background} background, {text}"
            else:
                text += pick(rng, [f" on {article} {background} background", f" on {article} {background} background",
                                   f" on {background}", f", {background} background", f" with {article} {background} background"])
    if rng.random() < 0.15:
        text = pick(rng, LEADS) + text
    if rng.random() < 0.1:
        text += pick(rng, TAILS)
    if rng.random() < 0.3:
        text = text[0].upper() + text[1:]
    if rng.random() < 0.2:
        text += "."
    return text


def long_caption(rng: np.random.Generator, spec: Spec) -> str:
    """The caption with sentences around it that say nothing, as people write them: more than one block of 32 tokens."""
    text = caption(rng, spec).rstrip(".") + "."
    for index in rng.permutation(len(FILLER))[: int(rng.integers(2, 5))]:
        text = f"{FILLER[index]} {text}" if rng.random() < 0.2 else f"{text} {FILLER[index]}"
    return text


# ---------------------------------------------------------------- layout

@dataclass(frozen=True)
class Thing:
    """A shape in the picture: centre as part of width and height, radius as part of the shorter side."""

    shape: str
    colour: str
    x: float
    y: float
    radius: float


def layout(spec: Spec, rng: np.random.Generator, height: int, width: int) -> list[Thing]:
    """Places the shapes: centres vary by 1.5 % of the picture and sizes by 4 %."""
    short = min(height, width)

    def thing(group: Group, x: float, y: float, radius: float) -> Thing:
        radius *= 1 + rng.uniform(-0.04, 0.04)
        x, y = x + rng.uniform(-0.015, 0.015), y + rng.uniform(-0.015, 0.015)
        margin_x, margin_y = (radius + 0.03) * short / width, (radius + 0.03) * short / height
        return Thing(group.shape, group.colour, min(max(x, margin_x), 1 - margin_x), min(max(y, margin_y), 1 - margin_y), radius)

    def row(group: Group, y: float, radius: float) -> list[Thing]:
        return [thing(group, (index + 0.5) / group.count if group.count > 2 else (0.5, 0.27 + 0.46 * index)[group.count - 1], y, radius)
                for index in range(group.count)]

    if spec.kind == "plain":
        return []
    if spec.kind == "single":
        group = spec.groups[0]
        return [thing(group, *POSITIONS[spec.position or "center"], SIZES[group.size or "medium"])]
    if spec.kind == "row":
        return row(spec.groups[0], 0.5, {2: 0.19, 3: 0.145, 4: 0.105}[spec.groups[0].count])
    if spec.kind == "inside":
        inner, outer = spec.groups
        return [thing(outer, 0.5, 0.5, 0.4), thing(inner, 0.5, 0.5, 0.17)]
    first, second = spec.groups
    if spec.kind == "rows":
        radius = 0.145 if max(first.count, second.count) > 2 else 0.18
        places = (0.27, 0.73) if spec.relation == "above" else (0.73, 0.27)
        return row(first, places[0], radius) + row(second, places[1], radius)
    low, high = 0.27, 0.73
    places = {"above": ((0.5, low), (0.5, high)), "below": ((0.5, high), (0.5, low)),
              "left": ((low, 0.5), (high, 0.5)), "right": ((high, 0.5), (low, 0.5))}[spec.relation]
    return [thing(first, *places[0], 0.18), thing(second, *places[1], 0.18)]


# ---------------------------------------------------------------- drawing

def distance(shape: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Signed distance to the shape's outline, negative inside; the shape fills about -1..1 both ways, y points down."""
    if shape == "circle":
        return np.hypot(x, y) - 1
    if shape == "ring":
        return np.abs(np.hypot(x, y) - 0.75) - 0.25
    x = np.abs(x)
    if shape == "square":
        return np.maximum(x, np.abs(y)) - 0.88
    if shape == "diamond":
        return (x / 0.8 + np.abs(y) - 1) / np.hypot(1 / 0.8, 1)
    if shape == "cross":
        y = np.abs(y)
        return np.minimum(np.maximum(x - 0.32, y - 1), np.maximum(x - 1, y - 0.32))
    if shape == "triangle":
        return np.maximum(y - 0.85, (1.85 * x - y - 1) / np.hypot(1.85, 1))
    if shape == "heart":  # a square on its corner with a circle on each upper side
        side, y = 0.83, y - 0.085
        return np.minimum((x + np.abs(y) - side) / np.sqrt(2), np.hypot(x - side / 2, y + side / 2) - side / np.sqrt(2))
    # star: folded onto half of one of its five points, whose outline is a single line from tip to notch
    y = y - 0.1
    turn = np.arctan2(x, -y)
    turn = np.abs(np.mod(turn + np.pi / 5, 2 * np.pi / 5) - np.pi / 5)
    far = np.hypot(x, y)
    tip, notch = np.array([1.05, 0]), 0.45 * np.array([np.cos(np.pi / 5), np.sin(np.pi / 5)])
    along = (notch - tip) / np.hypot(*(notch - tip))
    return (far * np.cos(turn) - tip[0]) * along[1] - far * np.sin(turn) * along[0]


def coverage(shape: str, centre: tuple, radius: float, height: int, width: int) -> tuple:
    """The part of each pixel that the shape covers, and the window of the picture that it fills (pixel units)."""
    x0, x1 = max(int(centre[0] - 1.1 * radius) - 1, 0), min(int(centre[0] + 1.1 * radius) + 2, width)
    y0, y1 = max(int(centre[1] - 1.1 * radius) - 1, 0), min(int(centre[1] + 1.1 * radius) + 2, height)
    x = ((np.arange(x0, x1) + 0.5 - centre[0]) / radius).astype(np.float32)
    y = ((np.arange(y0, y1) + 0.5 - centre[1]) / radius).astype(np.float32)
    outside = distance(shape, *np.meshgrid(x, y)) * np.float32(radius)
    return np.clip(0.5 - outside, 0, 1), (slice(y0, y1), slice(x0, x1))


def draw(things: list[Thing], background: str, height: int, width: int) -> np.ndarray:
    """The picture, uint8 [height, width, 3], edges smoothed over one pixel."""
    picture = np.empty((height, width, 3), np.float32)
    picture[:] = COLOURS[background]
    for thing in things:
        radius = thing.radius * min(height, width)
        alpha, window = coverage(thing.shape, (thing.x * width, thing.y * height), radius, height, width)
        picture[window] += alpha[..., None] * (np.array(COLOURS[thing.colour], np.float32) - picture[window])
    return np.rint(picture).astype(np.uint8)
