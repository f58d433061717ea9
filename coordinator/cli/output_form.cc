#include "coordinator/cli/output_form.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/config/options.h"
#include "common/image/png.h"
#include "coordinator/cli/command.h"

namespace diptych {
namespace {

// Of every size that a renderer paints.
constexpr PngLimits kAnySize = {.max_side = 16384, .max_pixels = uint64_t{16384} * 16384};

std::string LowerExtension(const std::filesystem::path& name) {
  return absl::AsciiStrToLower(name.extension().string());
}

}  // namespace

OutputForm ReadOutputForm(const Settings& settings) {
  OutputForm form;
  const std::string& format = settings.Get(options::kFormat);
  if (format == "png") form.format = PictureFormat::kPng;
  if (format == "jpg") form.format = PictureFormat::kJpeg;
  if (format == "webp") form.format = PictureFormat::kWebp;
  form.quality = static_cast<int>(settings.Get(options::kQuality));
  form.quality_given = settings.OriginOf(options::kQuality) == Origin::kFlag;
  form.metadata = !settings.Get(options::kNoMetadata);
  form.overwrite = settings.Get(options::kOverwrite);
  return form;
}

std::string ExtensionOf(const OutputForm& form) {
  switch (form.format.value_or(PictureFormat::kPng)) {
    case PictureFormat::kPng:
      return ".png";
    case PictureFormat::kJpeg:
      return ".jpg";
    case PictureFormat::kWebp:
      return ".webp";
  }
  return "";
}

std::optional<PictureFormat> FormatInName(const std::filesystem::path& name) {
  const std::string extension = LowerExtension(name);
  if (extension == ".png") return PictureFormat::kPng;
  if (extension == ".jpg" || extension == ".jpeg") return PictureFormat::kJpeg;
  if (extension == ".webp") return PictureFormat::kWebp;
  return std::nullopt;
}

PictureFormat FormatOf(const std::filesystem::path& name, const OutputForm& form, const std::string& what) {
  const std::string extension = LowerExtension(name);
  for (const char* other : {".gif", ".bmp", ".tif", ".tiff", ".avif", ".jxl", ".heic", ".pdf", ".svg"}) {
    if (extension != other) continue;
    throw UsageError(absl::StrCat(what, " \"", name.string(),
                                  "\" would not be what its name says: pictures are PNG, JPEG or WebP files; name it "
                                  ".png, .jpg or .webp"));
  }
  const std::optional<PictureFormat> named = FormatInName(name);
  if (named && form.format && *named != *form.format) {
    throw UsageError(absl::StrCat(what, " \"", name.string(), "\" is the name of a ",
                                  std::string(PictureFormatName(*named)), " file, and --format asks for ",
                                  std::string(PictureFormatName(*form.format)), "; leave one of them out"));
  }
  return named ? *named : form.format.value_or(PictureFormat::kPng);
}

std::vector<std::string> IdleFormFlags(const OutputForm& form, const std::vector<std::filesystem::path>& names) {
  const bool all_png = std::all_of(names.begin(), names.end(), [&](const std::filesystem::path& name) {
    return FormatInName(name).value_or(form.format.value_or(PictureFormat::kPng)) == PictureFormat::kPng;
  });
  if (form.quality_given && all_png) return {"--quality has no effect on PNG files, which lose nothing"};
  return {};
}

std::string FinishPicture(const std::string& png, PictureFormat format, const OutputForm& form,
                          const std::optional<PictureFit>& fit) {
  if (format == PictureFormat::kPng && !fit) return form.metadata ? png : WithoutPngText(png);
  PngFile file = DecodePng(png, kAnySize);
  if (fit) {
    file.picture = FitPicture(file.picture, *fit);
    file.text.insert(file.text.begin(), {kFitKeyword, FitJson(*fit)});
  }
  return EncodePicture(format, file.picture, form.quality, form.metadata ? file.text : PictureText{});
}

}  // namespace diptych
