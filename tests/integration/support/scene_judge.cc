#include "tests/integration/support/scene_judge.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <stdexcept>

namespace diptych::integration {
namespace {

struct Colour {
  const char* name;
  std::array<int, 3> rgb;
};

// As in tools/demo_model/scenes.py.
constexpr Colour kPalette[] = {{"red", {222, 36, 36}},     {"green", {34, 160, 60}},   {"blue", {36, 76, 220}},
                               {"yellow", {252, 220, 40}}, {"orange", {250, 138, 24}}, {"purple", {128, 40, 176}},
                               {"pink", {252, 150, 200}},  {"cyan", {60, 214, 226}},   {"black", {16, 16, 16}},
                               {"white", {250, 250, 250}}};
constexpr int kColours = std::size(kPalette);
constexpr double kSmallestArea = 0.004;  // of the picture; smaller specks are not objects

// Whether a point lies in the shape, which fills about -1..1 both ways; y points down.
bool IsInside(std::string_view shape, double x, double y) {
  const double pi = std::numbers::pi, far = std::hypot(x, y);
  if (shape == "circle") return far <= 1;
  if (shape == "ring") return far <= 1 && far >= 0.5;
  x = std::abs(x);
  if (shape == "square") return x <= 0.88 && std::abs(y) <= 0.88;
  if (shape == "diamond") return x / 0.8 + std::abs(y) <= 1;
  if (shape == "cross") return (x <= 0.32 && std::abs(y) <= 1) || (x <= 1 && std::abs(y) <= 0.32);
  if (shape == "triangle") return y <= 0.85 && 1.85 * x <= y + 1;
  if (shape == "heart") {
    const double side = 0.83, below = y - 0.085;
    return x + std::abs(below) <= side || std::hypot(x - side / 2, below + side / 2) <= side / std::sqrt(2);
  }
  if (shape == "star") {  // folded onto half of one of its five points: a line from tip to notch
    const double below = y - 0.1;
    const double turn = std::abs(std::fmod(std::atan2(x, -below) + 2 * pi + pi / 5, 2 * pi / 5) - pi / 5);
    const double along_x = 0.45 * std::cos(pi / 5) - 1.05, along_y = 0.45 * std::sin(pi / 5);
    const double reach = std::hypot(x, below);
    return (reach * std::cos(turn) - 1.05) * along_y - reach * std::sin(turn) * along_x <= 0;
  }
  throw std::invalid_argument("no shape \"" + std::string(shape) + "\"");
}

// A black and white picture.
class Mask {
 public:
  Mask(int width, int height) : width_(width), height_(height), bits_(static_cast<size_t>(width) * height) {}

  int width() const { return width_; }
  int height() const { return height_; }
  bool at(int x, int y) const { return x >= 0 && y >= 0 && x < width_ && y < height_ && bits_[Index(x, y)]; }
  void Set(int x, int y, bool value = true) { bits_[Index(x, y)] = value; }

 private:
  size_t Index(int x, int y) const { return static_cast<size_t>(y) * width_ + x; }

  int width_, height_;
  std::vector<bool> bits_;
};

// Pixels whose 3x3 neighbourhood is all set (erosion) or not all clear (dilation).
Mask Neighbourhood(const Mask& mask, bool erode) {
  Mask result(mask.width(), mask.height());
  for (int y = 0; y < mask.height(); ++y) {
    for (int x = 0; x < mask.width(); ++x) {
      int set = 0;
      for (int dy = -1; dy <= 1; ++dy) {
        for (int dx = -1; dx <= 1; ++dx) set += mask.at(x + dx, y + dy);
      }
      result.Set(x, y, erode ? set == 9 : set > 0);
    }
  }
  return result;
}

// The pixels connected to (x, y) by sides; they are cleared in `rest`.
Mask TakeArea(Mask& rest, int x, int y) {
  Mask area(rest.width(), rest.height());
  std::vector<std::pair<int, int>> open = {{x, y}};
  rest.Set(x, y, false);
  while (!open.empty()) {
    const auto [at_x, at_y] = open.back();
    open.pop_back();
    area.Set(at_x, at_y);
    for (const auto& [dx, dy] : {std::pair{1, 0}, {-1, 0}, {0, 1}, {0, -1}}) {
      if (!rest.at(at_x + dx, at_y + dy)) continue;
      rest.Set(at_x + dx, at_y + dy, false);
      open.emplace_back(at_x + dx, at_y + dy);
    }
  }
  return area;
}

struct Box {
  int x0 = INT32_MAX, y0 = INT32_MAX, x1 = -1, y1 = -1;  // the last ones exclusive
  int area = 0;
};

Box BoxOf(const Mask& mask) {
  Box box;
  for (int y = 0; y < mask.height(); ++y) {
    for (int x = 0; x < mask.width(); ++x) {
      if (!mask.at(x, y)) continue;
      box = {std::min(box.x0, x), std::min(box.y0, y), std::max(box.x1, x + 1), std::max(box.y1, y + 1), box.area + 1};
    }
  }
  return box;
}

// The shape with radius 200.
Mask DrawnLarge(std::string_view shape) {
  constexpr int kSide = 440;
  Mask drawn(kSide, kSide);
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) drawn.Set(x, y, IsInside(shape, (x + 0.5) / 200 - 1.1, (y + 0.5) / 200 - 1.1));
  }
  return drawn;
}

std::string ShapeOf(const Mask& mask, const Box& box) {
  static const std::vector<Mask> templates = [] {
    std::vector<Mask> all;
    for (const std::string& shape : SceneShapes()) all.push_back(DrawnLarge(shape));
    return all;
  }();
  std::string best;
  double best_overlap = -1;
  for (size_t i = 0; i < templates.size(); ++i) {
    const Mask& drawn = templates[i];
    const Box whole = BoxOf(drawn);
    int both = 0, either = 0;
    for (int y = box.y0; y < box.y1; ++y) {
      for (int x = box.x0; x < box.x1; ++x) {
        const int drawn_x = whole.x0 + static_cast<int>((x - box.x0 + 0.5) * (whole.x1 - whole.x0) / (box.x1 - box.x0));
        const int drawn_y = whole.y0 + static_cast<int>((y - box.y0 + 0.5) * (whole.y1 - whole.y0) / (box.y1 - box.y0));
        const bool found = mask.at(x, y), wanted = drawn.at(drawn_x, drawn_y);
        both += found && wanted;
        either += found || wanted;
      }
    }
    const double overlap = static_cast<double>(both) / either;
    if (overlap <= best_overlap) continue;
    best_overlap = overlap;
    best = SceneShapes()[i];
  }
  return best;
}

std::string PlaceOf(double x, double y) {  // parts of the picture
  const auto third = [](double value) { return value < 0.4 ? 0 : value < 0.6 ? 1 : 2; };
  static const char* const kPlaces[3][3] = {
      {"top left", "top", "top right"}, {"left", "center", "right"}, {"bottom left", "bottom", "bottom right"}};
  return kPlaces[third(y)][third(x)];
}

int NearestColour(const uint8_t* rgb) {
  const auto distance = [&](const Colour& colour) {
    int sum = 0;
    for (int i = 0; i < 3; ++i) sum += (rgb[i] - colour.rgb[i]) * (rgb[i] - colour.rgb[i]);
    return sum;
  };
  return static_cast<int>(
      std::min_element(std::begin(kPalette), std::end(kPalette),
                       [&](const Colour& a, const Colour& b) { return distance(a) < distance(b); }) -
      std::begin(kPalette));
}

int CommonestBorderColour(const std::vector<int>& labels, int width, int height) {
  std::array<int, kColours> counts = {};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      if (x < 2 || y < 2 || x >= width - 2 || y >= height - 2) ++counts[labels[static_cast<size_t>(y) * width + x]];
    }
  }
  return static_cast<int>(std::max_element(counts.begin(), counts.end()) - counts.begin());
}

}  // namespace

Scene MeasureScene(const Picture& picture) {
  const int width = picture.width, height = picture.height;
  std::vector<int> labels(static_cast<size_t>(width) * height);
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = NearestColour(&picture.rgb[3 * i]);
  const int background = CommonestBorderColour(labels, width, height);
  Scene scene{kPalette[background].name, {}};
  for (int colour = 0; colour < kColours; ++colour) {
    if (colour == background) continue;
    Mask coloured(width, height);
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) coloured.Set(x, y, labels[static_cast<size_t>(y) * width + x] == colour);
    }
    Mask rest = Neighbourhood(Neighbourhood(coloured, true), false);
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        if (!rest.at(x, y)) continue;
        // The opening also took the shape's tips: they are given back.
        const Mask grown = Neighbourhood(Neighbourhood(TakeArea(rest, x, y), false), false);
        Mask object(width, height);
        for (int i = 0; i < width * height; ++i) {
          object.Set(i % width, i / width, grown.at(i % width, i / width) && coloured.at(i % width, i / width));
        }
        const Box box = BoxOf(object);
        if (box.area < kSmallestArea * width * height) continue;
        scene.objects.push_back({kPalette[colour].name, ShapeOf(object, box),
                                 PlaceOf((box.x0 + box.x1) / 2.0 / width, (box.y0 + box.y1) / 2.0 / height), box.area});
      }
    }
  }
  std::sort(scene.objects.begin(), scene.objects.end(),
            [](const SceneObject& a, const SceneObject& b) { return a.area > b.area; });
  return scene;
}

Picture DrawScene(int width, int height, std::string_view background, std::string_view colour, std::string_view shape,
                  double x, double y, double radius) {
  const auto rgb = [](std::string_view name) {
    for (const Colour& known : kPalette) {
      if (name == known.name) return known.rgb;
    }
    throw std::invalid_argument("no colour \"" + std::string(name) + "\"");
  };
  const std::array<int, 3> back = rgb(background), front = rgb(colour);
  Picture picture{width, height, {}};
  for (int row = 0; row < height; ++row) {
    for (int column = 0; column < width; ++column) {
      const bool inside = IsInside(shape, (column + 0.5 - x) / radius, (row + 0.5 - y) / radius);
      for (int i = 0; i < 3; ++i) picture.rgb.push_back(static_cast<uint8_t>(inside ? front[i] : back[i]));
    }
  }
  return picture;
}

const std::vector<std::string>& SceneColours() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Colour& colour : kPalette) all.push_back(colour.name);
    return all;
  }();
  return names;
}

const std::vector<std::string>& SceneShapes() {
  static const std::vector<std::string> names = {"circle", "square", "triangle", "star",
                                                 "heart",  "ring",   "diamond",  "cross"};
  return names;
}

}  // namespace diptych::integration
