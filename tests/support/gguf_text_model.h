// Makes of the text model and the tokenizer of a folder what llama.cpp's conversion makes of them: names, metadata,
// norms in F32. Tables of its own, not those of the program.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "common/weights/checkpoint.h"
#include "tests/support/gguf_writer.h"

namespace diptych::testing {

inline nlohmann::json ReadJson(const std::string& path) {
  std::ifstream file(path);
  return nlohmann::json::parse(file);
}

// "model.layers.3.mlp.up_proj.weight", with or without "model.": "blk.3.ffn_up.weight". Of another name itself.
inline std::string NameOfLlamaCpp(std::string name) {
  static const std::vector<std::pair<std::regex, std::string>> kNames = {
      {std::regex(R"(^(?:model\.)?embed_tokens\.)"), "token_embd."},
      {std::regex(R"(^(?:model\.)?norm\.)"), "output_norm."},
      {std::regex(R"(^lm_head\.)"), "output."},
      {std::regex(R"(^(?:model\.)?layers\.(\d+)\.)"), "blk.$1."},
      {std::regex(R"(\.self_attn\.([qkv])_proj\.)"), ".attn_$1."},
      {std::regex(R"(\.self_attn\.o_proj\.)"), ".attn_output."},
      {std::regex(R"(\.self_attn\.([qk])_norm\.)"), ".attn_$1_norm."},
      {std::regex(R"(\.input_layernorm\.)"), ".attn_norm."},
      {std::regex(R"(\.post_attention_layernorm\.)"), ".ffn_norm."},
      {std::regex(R"(\.mlp\.(gate|up|down)_proj\.)"), ".ffn_$1."}};
  for (const auto& [from, to] : kNames) name = std::regex_replace(name, from, to);
  return name;
}

// Tensors as the folder has them, but for norms (everything with one dimension). `model` must live on.
inline void AddTextTensors(GgufWriter& file, const Checkpoint& model) {
  for (const auto& [name, tensor] : model.tensors()) {
    if (tensor.entry->shape.size() == 1) {
      file.AddTensorAsFloat(NameOfLlamaCpp(name), *tensor.entry);
    } else {
      file.AddTensor(NameOfLlamaCpp(name), *tensor.entry);
    }
  }
}

// general.architecture and qwen3.*, from `folder`/config.json.
inline void AddTextConfig(GgufWriter& file, const std::string& folder) {
  const nlohmann::json config = ReadJson(folder + "/config.json");
  const auto number = [&](const char* key) { return config.at(key).get<uint32_t>(); };
  const double theta = config.contains("rope_parameters") ? config["rope_parameters"].at("rope_theta").get<double>()
                                                          : config.at("rope_theta").get<double>();
  file.Text("general.architecture", "qwen3");
  file.Text("general.type", "model");
  file.Number("qwen3.block_count", number("num_hidden_layers"));
  file.Number("qwen3.context_length", number("max_position_embeddings"));
  file.Number("qwen3.embedding_length", number("hidden_size"));
  file.Number("qwen3.feed_forward_length", number("intermediate_size"));
  file.Number("qwen3.attention.head_count", number("num_attention_heads"));
  file.Number("qwen3.attention.head_count_kv", number("num_key_value_heads"));
  file.Number("qwen3.rope.freq_base", static_cast<float>(theta));
  file.Number("qwen3.attention.layer_norm_rms_epsilon", config.at("rms_norm_eps").get<float>());
  file.Number("qwen3.attention.key_length", number("head_dim"));
  file.Number("qwen3.attention.value_length", number("head_dim"));
}

// tokenizer.ggml.*, from `folder`/tokenizer.json, or vocab.json, merges.txt and tokenizer_config.json. `rows` of the
// embedding: ids without a token are filled.
inline void AddTokenizer(GgufWriter& file, const std::string& folder, size_t rows) {
  nlohmann::json vocabulary, added = nlohmann::json::array();
  std::vector<std::string> merges;
  if (std::filesystem::exists(folder + "/tokenizer.json")) {
    const nlohmann::json content = ReadJson(folder + "/tokenizer.json");
    vocabulary = content.at("model").at("vocab");
    added = content.at("added_tokens");
    for (const nlohmann::json& merge : content["model"].at("merges")) {
      const bool is_pair = merge.is_array();
      merges.push_back(is_pair ? merge[0].get<std::string>() + " " + merge[1].get<std::string>()
                               : merge.get<std::string>());
    }
  } else {
    vocabulary = ReadJson(folder + "/vocab.json");
    nlohmann::json config = ReadJson(folder + "/tokenizer_config.json");
    for (auto& [id, token] : config.at("added_tokens_decoder").items()) {
      token["id"] = std::stoll(id);
      added.push_back(token);
    }
    std::ifstream lines(folder + "/merges.txt");
    for (std::string line; std::getline(lines, line);) {
      if (!line.empty() && !line.starts_with("#version")) merges.push_back(line);
    }
  }
  std::vector<std::string> tokens(rows);
  std::vector<int32_t> types(rows, 5);
  for (size_t id = 0; id < rows; ++id) tokens[id] = "[PAD" + std::to_string(id) + "]";
  for (const auto& [text, id] : vocabulary.items()) {
    tokens.at(id.get<size_t>()) = text;
    types.at(id.get<size_t>()) = 1;
  }
  for (const nlohmann::json& token : added) {
    const auto id = token.at("id").get<size_t>();
    const auto text = token.at("content").get<std::string>();
    tokens.at(id) = text;
    const bool looks_special = text.starts_with("<|") && text.ends_with("|>");
    types.at(id) = token.at("special").get<bool>() || looks_special ? 3 : 4;
  }
  file.Text("tokenizer.ggml.model", "gpt2");
  file.Text("tokenizer.ggml.pre", "qwen2");
  file.Texts("tokenizer.ggml.tokens", tokens);
  file.Numbers("tokenizer.ggml.token_type", types);
  file.Texts("tokenizer.ggml.merges", merges);
  file.Bool("tokenizer.ggml.add_bos_token", false);
}

// `checkpoint`/text_encoder and `checkpoint`/tokenizer as one file, as llama.cpp's conversion writes it.
inline void WriteTextGguf(const std::string& path, const std::string& checkpoint) {
  const auto model = Checkpoint::Open(checkpoint + "/text_encoder", ModelPart::kTextEncoder);
  const TensorEntry* embedding = model->Find("model.embed_tokens.weight");
  if (embedding == nullptr) embedding = model->Find("embed_tokens.weight");
  GgufWriter file;
  AddTextConfig(file, checkpoint + "/text_encoder");
  AddTokenizer(file, checkpoint + "/tokenizer", static_cast<size_t>(embedding->shape.at(0)));
  AddTextTensors(file, *model);
  file.Write(path);
}

}  // namespace diptych::testing
