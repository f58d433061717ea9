#include "coordinator/cli/weights_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/foreign_text/foreign_text.h"
#include "common/memory/memory_facts.h"
#include "coordinator/cli/result_text.h"

namespace diptych {
namespace {

using nlohmann::ordered_json;

constexpr size_t kMostNamed = 3;
constexpr size_t kLabelColumns = 15;
constexpr size_t kMostName = 32, kMostWhat = 24, kSizeColumns = 7, kFormatColumns = 10;

std::string Left(const std::string& text, size_t columns) {
  return text + std::string(columns - std::min(columns, TextColumns(text)), ' ');
}
std::string Right(const std::string& text, size_t columns) {
  return std::string(columns - std::min(columns, TextColumns(text)), ' ') + text;
}

std::string CountText(size_t count, const char* one, const char* many) {
  return absl::StrCat(count, " ", count == 1 ? one : many);
}

// "2 tensors: a and b", "12 tensors: a, b, c, ..."
std::string NamesText(const std::vector<std::string>& names, bool may_be_more) {
  std::vector<std::string> shown;
  for (size_t i = 0; i < std::min(names.size(), kMostNamed); ++i) shown.push_back(ForeignText(names[i]));
  const char* more = may_be_more ? " or more" : "";
  return absl::StrCat(names.size(), more, names.size() == 1 ? " tensor: " : " tensors: ", absl::StrJoin(shown, "; "),
                      names.size() > kMostNamed ? "; ..." : "");
}

std::string MissingText(const PartReport& part) { return NamesText(part.missing, part.missing.size() == kMostMissing); }

std::string NumberText(uint64_t number) {
  if (number >= 1'000'000'000) return absl::StrFormat("%.2f billion", static_cast<double>(number) / 1e9);
  if (number >= 1'000'000) return absl::StrFormat("%.1f million", static_cast<double>(number) / 1e6);
  return absl::StrCat(number);
}

std::string ContainerText(const ContainerReport& container) {
  std::string text = container.name.empty() ? "" : container.name + ", ";
  if (container.files != 1) absl::StrAppend(&text, CountText(container.files, "file", "files"), ", ");
  return text + BytesText(container.bytes);
}

std::string FormatsText(const std::vector<FormatCount>& formats) {
  std::vector<std::string> texts;
  for (const FormatCount& format : formats) {
    texts.push_back(absl::StrCat(ForeignText(format.name), ": ", CountText(format.tensors, "tensor", "tensors"), " of ",
                                 BytesText(format.bytes)));
  }
  return absl::StrJoin(texts, "; ");
}

std::string NeedText(const WeightNeed& need) {
  std::vector<std::string> texts;
  if (need.copied > 0) texts.push_back(BytesText(need.copied) + " of memory");
  if (need.mapped > 0 || need.copied == 0) texts.push_back(BytesText(need.mapped) + " in the mapped file");
  return absl::StrJoin(texts, " and ");
}

// As a shell takes it.
std::string ShellWord(const std::string& word) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-+=:,@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == word.npos) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

bool IsUsable(const PartReport& part) { return part.problem.empty() && part.missing.empty(); }

// "--transformer-path"; of a checkpoint "--model-path"; empty: it is of no use as it is.
std::vector<std::string> OptionsOf(const WeightsReport& report) {
  std::vector<std::string> options;
  if (report.kind == WeightsKind::kCheckpoint) {
    const bool usable = std::all_of(report.parts.begin(), report.parts.end(), IsUsable);
    if (usable) options.emplace_back("--model-path");
    return options;
  }
  for (const PartReport& part : report.parts) {
    if (IsUsable(part)) options.emplace_back(OptionOf(part.part));
  }
  return options;
}

std::string LoraText(const LoraReport& lora) {
  std::string text;
  if (lora.greatest_rank > 0) {
    text = absl::StrCat("rank ", lora.least_rank);
    if (lora.greatest_rank != lora.least_rank) absl::StrAppend(&text, " to ", lora.greatest_rank);
  }
  return text;
}

std::string WhatText(const WeightsReport& report) {
  std::string text = ForeignText(report.what);
  if (report.lora && report.lora->greatest_rank > 0) absl::StrAppend(&text, ", ", LoraText(*report.lora));
  return text;
}

// Lines of a label and a text, reflowed.
class Lines {
 public:
  Lines(size_t indent, size_t columns) : indent_(indent, ' '), columns_(columns) {}
  void Add(const std::string& label, const std::string& text) {
    if (text.empty()) return;
    absl::StrAppend(&text_, Reflowed(absl::StrCat(indent_, Left(label, kLabelColumns), text), columns_), "\n");
  }
  void AddWhole(const std::string& label, const std::string& text) {  // to be copied
    if (!text.empty()) absl::StrAppend(&text_, indent_, Left(label, kLabelColumns), text, "\n");
  }
  const std::string& text() const { return text_; }

 private:
  std::string indent_, text_;
  size_t columns_;
};

void AddPart(const PartReport& part, bool with_files, Lines& lines) {
  if (with_files) {
    lines.AddWhole("path", ForeignText(part.path, kMessageBytes));
    if (!part.container.name.empty()) lines.Add("files", ContainerText(part.container));
  }
  if (part.tensors > 0) {
    lines.Add("names", part.layout.empty() ? "as the model asks for them" : ForeignText(part.layout));
    lines.Add("parameters",
              absl::StrCat(NumberText(part.parameters), " in ", CountText(part.tensors, "tensor", "tensors")));
    lines.Add("formats", FormatsText(part.formats));
    lines.Add("needs", absl::StrCat("in bfloat16 ", NeedText(part.in_bfloat16), "; in float32 ", NeedText(part.in_float32)));
  }
  lines.Add("configuration", ForeignText(part.configuration, kMessageBytes));
  if (part.has_tokenizer) lines.Add("tokenizer", *part.has_tokenizer ? "in its metadata" : "none in its metadata");
  if (!part.missing.empty()) lines.Add("missing", MissingText(part));
  lines.Add("problem", part.problem);
}

std::string FormatColumn(const std::vector<FormatCount>& formats) {
  uint64_t bytes = 0;
  for (const FormatCount& format : formats) bytes += format.bytes;
  std::vector<std::string> names;
  for (const FormatCount& format : formats) {
    if (format.bytes >= bytes / 20 && names.size() < 2) names.push_back(ForeignText(format.name));
  }
  return absl::StrJoin(names, "+");
}

// A line of an error that begins with the path, which stands above it.
std::string WithoutPath(const std::string& line, const std::string& path) {
  return line.starts_with(path + ": ") ? line.substr(path.size() + 2) : line;
}

// What is to be said below the row.
std::vector<std::string> RemarksOn(const ListedWeights& one) {
  if (!one.error.empty()) return {WithoutPath(one.error, one.path)};
  std::vector<std::string> remarks;
  for (const PartReport& part : one.report.parts) {
    if (!part.problem.empty()) remarks.push_back(WithoutPath(part.problem, one.path));
    if (!part.missing.empty()) remarks.push_back(absl::StrCat(std::string(PartName(part.part)), " lacks ", MissingText(part)));
  }
  if (!one.report.lacks.empty()) remarks.push_back("lacks " + absl::StrJoin(one.report.lacks, ", "));
  return remarks;
}

ordered_json FormatsJson(const std::vector<FormatCount>& formats) {
  ordered_json json = ordered_json::object();
  for (const FormatCount& format : formats) json[format.name] = {{"tensors", format.tensors}, {"bytes", format.bytes}};
  return json;
}

ordered_json NeedJson(const WeightNeed& need) {
  return {{"copied", need.copied}, {"mapped", need.mapped}, {"on_gpu", need.on_gpu}};
}

ordered_json OrNull(const std::string& text) { return text.empty() ? ordered_json() : ordered_json(text); }

ordered_json PartJson(const PartReport& part) {
  return {{"part", std::string(PartFolder(part.part))},
          {"path", part.path},
          {"container", OrNull(part.container.name)},
          {"files", part.container.files},
          {"file_bytes", part.container.bytes},
          {"layout", OrNull(part.layout)},
          {"tensors", part.tensors},
          {"parameters", part.parameters},
          {"bytes", part.bytes},
          {"formats", FormatsJson(part.formats)},
          {"needs", {{"bfloat16", NeedJson(part.in_bfloat16)}, {"float32", NeedJson(part.in_float32)}}},
          {"configuration", OrNull(part.configuration)},
          {"has_tokenizer", part.has_tokenizer ? ordered_json(*part.has_tokenizer) : ordered_json()},
          {"missing", part.missing},
          {"problem", OrNull(part.problem)},
          {"option", IsUsable(part) ? ordered_json(std::string(OptionOf(part.part))) : ordered_json()}};
}

const char* KindName(WeightsKind kind) {
  switch (kind) {
    case WeightsKind::kCheckpoint:
      return "checkpoint";
    case WeightsKind::kPart:
      return "part";
    case WeightsKind::kParts:
      return "parts";
    case WeightsKind::kLora:
      return "lora";
    case WeightsKind::kOther:
      break;
  }
  return "other";
}

}  // namespace

std::string WeightsText(const WeightsReport& report, size_t columns) {
  const bool is_folder = report.kind == WeightsKind::kCheckpoint;
  const bool in_sections = is_folder || report.parts.size() > 1;
  Lines lines(2, columns);
  lines.Add("what", WhatText(report));
  if (report.container.files > 0) lines.Add("files", ContainerText(report.container));
  if (!in_sections) {
    for (const PartReport& part : report.parts) AddPart(part, false, lines);
  }
  if (report.parts.empty() && report.tensors > 0) {
    lines.Add("tensors", absl::StrCat(report.tensors));
    lines.Add("formats", FormatsText(report.formats));
  }
  if (const auto& lora = report.lora) {
    if (lora->modules > 0) lines.Add("layers", absl::StrCat(lora->modules, " of the transformer"));
    if (lora->foreign > 0) lines.Add("foreign", CountText(lora->foreign, "tensor", "tensors") + " for no layer of it");
    std::vector<std::string> words;
    for (const std::string& word : lora->trigger_words) words.push_back(ForeignText(word));
    lines.Add("trigger words", absl::StrJoin(words, ", "));
    lines.Add("trained on", ForeignText(lora->base_model));
  }
  if (!report.foreign.empty()) lines.Add("foreign", NamesText(report.foreign, false) + ", not loaded");
  if (!report.lacks.empty()) lines.Add("lacks", absl::StrJoin(report.lacks, ", "));
  lines.Add("not taken", report.refusal);
  for (const std::string& warning : report.warnings) lines.Add("warning", warning);
  std::vector<std::string> use;
  for (const std::string& option : OptionsOf(report)) use.push_back(absl::StrCat(option, " ", ShellWord(report.path)));
  lines.AddWhole("use it with", ForeignText(absl::StrJoin(use, " "), kMessageBytes));
  std::string text = absl::StrCat(ForeignText(report.path, kMessageBytes), "\n", lines.text());
  if (!in_sections) return text;
  for (const PartReport& part : report.parts) {
    Lines section(4, columns);
    AddPart(part, is_folder, section);
    absl::StrAppend(&text, "  ", std::string(PartName(part.part)), "\n", section.text());
  }
  return text;
}

std::string WeightsTable(const std::vector<ListedWeights>& listed, size_t columns) {
  struct Row {
    std::string folder, name, size, format, what, option;
    std::vector<std::string> remarks;
  };
  std::vector<Row> rows;
  size_t widest_name = 4, widest_what = 2;
  for (const ListedWeights& one : listed) {
    const size_t slash = one.name.size() < 2 ? one.name.npos : one.name.rfind('/', one.name.size() - 2);
    const size_t begin = slash == one.name.npos ? 0 : slash + 1;
    const WeightsReport& report = one.report;
    Row row{.folder = ForeignText(one.name.substr(0, begin)),
            .name = ForeignText(one.name.substr(begin)),
            .size = report.container.files == 0 ? "" : BytesText(report.container.bytes),
            .format = FormatColumn(report.formats),
            .what = !one.error.empty()                            ? "cannot be read"
                    : report.kind == WeightsKind::kCheckpoint ? "checkpoint"
                                                              : WhatText(report),
            .option = absl::StrJoin(OptionsOf(report), " "),
            .remarks = RemarksOn(one)};
    if (!row.folder.empty()) row.name.insert(0, "  ");
    widest_name = std::max(widest_name, std::min(TextColumns(row.name), kMostName));
    widest_what = std::max(widest_what, std::min(TextColumns(row.what), kMostWhat));
    rows.push_back(std::move(row));
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.folder < b.folder; });

  std::string table, folder;
  const auto add = [&](const Row& row) {
    std::string line = Left(row.name, widest_name);
    if (TextColumns(row.name) > widest_name) {  // has its line to itself
      absl::StrAppend(&table, line, "\n");
      line.assign(widest_name, ' ');
    }
    absl::StrAppend(&line, "  ", Right(row.size, kSizeColumns), "  ", Left(row.format, kFormatColumns), "  ");
    const std::string tail = row.option.empty() ? row.what : Left(row.what, widest_what) + "  " + row.option;
    const size_t room = columns - std::min(columns, TextColumns(line));
    if (columns == 0 || TextColumns(tail) <= room) {
      absl::StrAppend(&table, line, tail, "\n");
    } else {
      std::string below = Reflowed(tail, std::max<size_t>(room, 20));
      for (size_t at = below.find('\n'); at != below.npos; at = below.find('\n', at + 1)) {
        below.insert(at + 1, std::string(TextColumns(line), ' '));
      }
      absl::StrAppend(&table, line, below, "\n");
    }
    for (const std::string& remark : row.remarks) absl::StrAppend(&table, Reflowed("      " + remark, columns), "\n");
  };
  add({.folder = "", .name = "NAME", .size = "SIZE", .format = "FORMAT", .what = "IS", .option = "OPTION", .remarks = {}});
  for (const Row& row : rows) {
    if (row.folder != folder) absl::StrAppend(&table, row.folder, "\n");
    folder = row.folder;
    add(row);
  }
  return table;
}

ordered_json WeightsJson(const WeightsReport& report) {
  ordered_json parts = ordered_json::array();
  for (const PartReport& part : report.parts) parts.push_back(PartJson(part));
  ordered_json lora;
  if (report.lora) {
    lora = {{"modules", report.lora->modules},
            {"foreign", report.lora->foreign},
            {"least_rank", report.lora->least_rank},
            {"greatest_rank", report.lora->greatest_rank},
            {"trigger_words", report.lora->trigger_words},
            {"base_model", OrNull(report.lora->base_model)}};
  }
  return {{"path", report.path},
          {"kind", KindName(report.kind)},
          {"what", report.what},
          {"container", OrNull(report.container.name)},
          {"files", report.container.files},
          {"file_bytes", report.container.bytes},
          {"tensors", report.tensors},
          {"formats", FormatsJson(report.formats)},
          {"parts", parts},
          {"lora", lora},
          {"foreign", report.foreign},
          {"lacks", report.lacks},
          {"refusal", OrNull(report.refusal)},
          {"warnings", report.warnings},
          {"options", OptionsOf(report)},
          {"error", nullptr}};
}

}  // namespace diptych
