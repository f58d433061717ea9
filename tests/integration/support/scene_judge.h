// Measures a picture of one flat shape on a flat background, as the demo model draws them. No model takes part.
//
// The method is that of tools/demo_model/judge.py: every pixel takes the nearest palette colour, the border's commonest
// colour is the background, connected areas of other colours (after an opening that removes the blended rims) are the
// objects, and an object's shape is the one of eight whose drawing, stretched to the object's box, overlaps it best.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/image/picture.h"

namespace diptych::integration {

struct SceneObject {
  std::string colour;
  std::string shape;
  std::string
      place;     // "top left", "top", ... "center" ... "bottom right": the third of the picture that holds its middle
  int area = 0;  // pixels
};

struct Scene {
  std::string background;
  std::vector<SceneObject> objects;  // the largest first
};

Scene MeasureScene(const Picture& picture);

// The judge's own check: a drawn shape. `x`, `y`, `radius` in pixels.
Picture DrawScene(int width, int height, std::string_view background, std::string_view colour, std::string_view shape,
                  double x, double y, double radius);

const std::vector<std::string>& SceneColours();
const std::vector<std::string>& SceneShapes();

}  // namespace diptych::integration
