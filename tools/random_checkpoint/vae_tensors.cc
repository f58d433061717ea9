#include <algorithm>

#include "tools/random_checkpoint/random_tensor.h"

namespace diptych::random_checkpoint {
namespace {

// GroupNorm and SiLU leave inputs of root mean square about 0.6; this keeps most pixels inside [-1, 1], where they are
// not clamped.
constexpr double kPixelGain = 0.7;

class VaeList {
 public:
  explicit VaeList(const VaeSizes& sizes) : sizes_(sizes) {}

  void AddEncoder() {
    const std::vector<int64_t>& channels = sizes_.channels;
    Conv("encoder.conv_in", channels.front(), 3, 3);
    for (size_t i = 0; i < channels.size(); ++i) {
      const std::string block = "encoder.down_blocks." + std::to_string(i);
      Resnets(block, sizes_.layers_per_block, i == 0 ? channels[0] : channels[i - 1], channels[i]);
      if (i + 1 < channels.size()) Conv(block + ".downsamplers.0.conv", channels[i], channels[i], 3);
    }
    Middle("encoder.mid_block", channels.back());
    Norm("encoder.conv_norm_out", channels.back());
    Conv("encoder.conv_out", 2 * kLatentChannels, channels.back(), 3);  // mean and log variance
  }

  void AddDecoder() {
    std::vector<int64_t> channels = sizes_.channels;
    std::reverse(channels.begin(), channels.end());
    Conv("decoder.conv_in", channels.front(), kLatentChannels, 3);
    Middle("decoder.mid_block", channels.front());
    for (size_t i = 0; i < channels.size(); ++i) {
      const std::string block = "decoder.up_blocks." + std::to_string(i);
      Resnets(block, sizes_.layers_per_block + 1, i == 0 ? channels[0] : channels[i - 1], channels[i]);
      if (i + 1 < channels.size()) Conv(block + ".upsamplers.0.conv", channels[i], channels[i], 3);
    }
    Norm("decoder.conv_norm_out", channels.back());
    Conv("decoder.conv_out", 3, channels.back(), 3, kPixelGain);
  }

  RandomTensors Take() { return std::move(tensors_); }

 private:
  void Conv(const std::string& name, int64_t out, int64_t in, int64_t size, double gain = 1.0) {
    tensors_.push_back(Kernel(name, out, in, size, gain));
    tensors_.push_back(Bias(name, out));
  }
  void Norm(const std::string& name, int64_t channels) {
    tensors_.push_back(Scale(name, channels));
    tensors_.push_back(Bias(name, channels));
  }
  void Linear(const std::string& name, int64_t channels) {
    tensors_.push_back(Matrix(name, channels, channels));
    tensors_.push_back(Bias(name, channels));
  }
  void Resnet(const std::string& name, int64_t in, int64_t out) {
    Norm(name + ".norm1", in);
    Conv(name + ".conv1", out, in, 3);
    Norm(name + ".norm2", out);
    Conv(name + ".conv2", out, out, 3);
    if (in != out) Conv(name + ".conv_shortcut", out, in, 1);
  }
  void Resnets(const std::string& block, int64_t count, int64_t in, int64_t out) {
    for (int64_t i = 0; i < count; ++i) Resnet(block + ".resnets." + std::to_string(i), i == 0 ? in : out, out);
  }
  void Middle(const std::string& block, int64_t channels) {
    Resnets(block, 2, channels, channels);
    const std::string attention = block + ".attentions.0";
    Norm(attention + ".group_norm", channels);
    for (const char* projection : {".to_q", ".to_k", ".to_v", ".to_out.0"}) Linear(attention + projection, channels);
  }

  const VaeSizes& sizes_;
  RandomTensors tensors_;
};

}  // namespace

RandomTensors VaeTensors(const VaeSizes& sizes) {
  VaeList list(sizes);
  list.AddEncoder();
  list.AddDecoder();
  return list.Take();
}

}  // namespace diptych::random_checkpoint
