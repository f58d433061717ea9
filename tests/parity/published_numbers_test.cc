// A DiT and a VAE whose weights come from a formula, against numbers that Z-Image's own code and diffusers 0.42.1 gave
// for it on other machines: at sizes that the toy checkpoints do not have (a DiT wider than
// its time embedding).
#include <ATen/ATen.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "common/weights/safetensors_writer.h"
#include "common/weights/weight_view.h"
#include "gtest/gtest.h"
#include "render_node/dit/context_refiner.h"
#include "render_node/dit/dit.h"
#include "render_node/vae/decoder.h"
#include "render_node/vae/encoder.h"

namespace diptych {
namespace {

// The deterministic fill of section 11.1.
std::vector<float> Fill(const std::string& name, int64_t count, double scale, double offset) {
  uint32_t key = 2166136261u;
  for (const unsigned char byte : name) key = (key ^ byte) * 16777619u;
  std::vector<float> values(count);
  for (int64_t i = 0; i < count; ++i) {
    uint32_t h = key + static_cast<uint32_t>(i) * 0x9E3779B9u;
    h ^= h >> 16;
    h *= 0x85EBCA6Bu;
    h ^= h >> 13;
    h *= 0xC2B2AE35u;
    h ^= h >> 16;
    values[i] = static_cast<float>((h * std::ldexp(1.0, -32) - 0.5) * scale + offset);
  }
  return values;
}

at::Tensor FillTensor(const std::string& name, std::vector<int64_t> shape, double scale) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return at::tensor(Fill(name, count, scale, 0)).reshape(shape);
}

bool EndsWith(const std::string& name, const std::string& end) {
  return name.size() >= end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0;
}

// Collects tensors filled by the weight rule and opens them as a checkpoint.
class FormulaCheckpoint {
 public:
  ~FormulaCheckpoint() { std::filesystem::remove(path_); }
  void Add(const std::string& name, std::vector<int64_t> shape) {
    specs_.push_back({name, Dtype::F32, std::move(shape)});
  }
  size_t size() const { return specs_.size(); }
  WeightView Open() {
    std::vector<std::vector<float>> values;
    for (const TensorSpec& spec : specs_) {
      const int64_t count = static_cast<int64_t>(ByteCount(spec) / 4);
      if (EndsWith(spec.name, "pad_token")) {
        values.push_back(Fill(spec.name, count, 1.0, 0));
      } else if (EndsWith(spec.name, "bias")) {
        values.push_back(Fill(spec.name, count, 0.2, 0));
      } else if (spec.shape.size() == 1) {
        values.push_back(Fill(spec.name, count, 0.4, 1));
      } else {
        values.push_back(Fill(spec.name, count, 0.2, 0));
      }
    }
    std::vector<TensorToWrite> tensors;
    for (size_t i = 0; i < specs_.size(); ++i) {
      tensors.push_back({specs_[i], {reinterpret_cast<const uint8_t*>(values[i].data()), values[i].size() * 4}});
    }
    WriteSafetensors(path_, tensors);
    return WeightView(Checkpoint::Open(path_), at::kCPU, at::kFloat);
  }

 private:
  std::vector<TensorSpec> specs_;
  const std::string path_ =
      (std::filesystem::temp_directory_path() / ("published-" + std::to_string(::getpid()) + ".safetensors")).string();
};

void AddBlock(FormulaCheckpoint& c, const std::string& p, int64_t dim, int64_t ffn, int64_t head, bool modulated) {
  for (const char* name : {"to_q", "to_k", "to_v", "to_out.0"}) c.Add(p + "attention." + name + ".weight", {dim, dim});
  for (const char* name : {"norm_q", "norm_k"}) c.Add(p + "attention." + name + ".weight", {head});
  for (const char* name : {"attention_norm1", "attention_norm2", "ffn_norm1", "ffn_norm2"})
    c.Add(p + name + ".weight", {dim});
  c.Add(p + "feed_forward.w1.weight", {ffn, dim});
  c.Add(p + "feed_forward.w2.weight", {dim, ffn});
  c.Add(p + "feed_forward.w3.weight", {ffn, dim});
  if (!modulated) return;
  c.Add(p + "adaLN_modulation.0.weight", {4 * dim, 256});
  c.Add(p + "adaLN_modulation.0.bias", {4 * dim});
}

void AddLinear(FormulaCheckpoint& c, const std::string& name, int64_t out, int64_t in) {
  c.Add(name + ".weight", {out, in});
  c.Add(name + ".bias", {out});
}

void AddNorm(FormulaCheckpoint& c, const std::string& name, int64_t channels) {
  c.Add(name + ".weight", {channels});
  c.Add(name + ".bias", {channels});
}

void AddConv(FormulaCheckpoint& c, const std::string& name, int64_t out, int64_t in, int64_t side) {
  c.Add(name + ".weight", {out, in, side, side});
  c.Add(name + ".bias", {out});
}

void AddResnet(FormulaCheckpoint& c, const std::string& name, int64_t in, int64_t out) {
  AddNorm(c, name + ".norm1", in);
  AddConv(c, name + ".conv1", out, in, 3);
  AddNorm(c, name + ".norm2", out);
  AddConv(c, name + ".conv2", out, out, 3);
  if (in != out) AddConv(c, name + ".conv_shortcut", out, in, 1);
}

void AddMidBlock(FormulaCheckpoint& c, const std::string& name, int64_t channels) {
  for (int i = 0; i < 2; ++i) AddResnet(c, name + ".resnets." + std::to_string(i), channels, channels);
  AddNorm(c, name + ".attentions.0.group_norm", channels);
  for (const char* part : {"to_q", "to_k", "to_v", "to_out.0"}) {
    AddLinear(c, name + ".attentions.0." + part, channels, channels);
  }
}

vae::Config TinyVae() {
  vae::Config config;
  config.block_out_channels = {32, 64, 64, 64};
  config.layers_per_block = 2;
  config.latent_channels = 16;
  config.norm_num_groups = 32;
  config.scaling_factor = 0.3611;
  config.shift_factor = 0.1159;
  return config;
}

struct Sums {
  double plain, absolute, squared;
};

void ExpectSums(const at::Tensor& x, const Sums& expected, double tolerance, const char* what) {
  const at::Tensor wide = x.to(at::kDouble);
  EXPECT_NEAR(wide.sum().item<double>(), expected.plain, tolerance) << what;
  EXPECT_NEAR(wide.abs().sum().item<double>(), expected.absolute, tolerance) << what;
  EXPECT_NEAR(wide.square().sum().item<double>(), expected.squared, tolerance) << what;
}

TEST(PublishedNumbers, TheFillIsTheReferences) {
  const std::vector<float> values = Fill("input.latent", 4, 1, 0);
  EXPECT_NEAR(values[0], 0.347609252, 1e-8);
  EXPECT_NEAR(values[3], -0.2684834, 1e-8);
}

TEST(PublishedNumbers, TheTinyDitOfSection11) {
  dit::Config config;
  config.in_channels = 16;
  config.dim = 384;
  config.n_layers = 3;
  config.n_refiner_layers = 2;
  config.n_heads = 3;
  config.cap_feat_dim = 80;
  config.axes_dims = {32, 48, 48};
  config.axes_lens = {1536, 512, 512};
  FormulaCheckpoint checkpoint;
  for (int i = 0; i < 3; ++i) AddBlock(checkpoint, "layers." + std::to_string(i) + ".", 384, 1024, 128, true);
  for (int i = 0; i < 2; ++i) AddBlock(checkpoint, "noise_refiner." + std::to_string(i) + ".", 384, 1024, 128, true);
  for (int i = 0; i < 2; ++i) AddBlock(checkpoint, "context_refiner." + std::to_string(i) + ".", 384, 1024, 128, false);
  AddLinear(checkpoint, "all_x_embedder.2-1", 384, 64);
  AddLinear(checkpoint, "all_final_layer.2-1.linear", 64, 384);
  AddLinear(checkpoint, "all_final_layer.2-1.adaLN_modulation.1", 384, 256);
  AddLinear(checkpoint, "t_embedder.mlp.0", 1024, 256);
  AddLinear(checkpoint, "t_embedder.mlp.2", 256, 1024);
  checkpoint.Add("cap_embedder.0.weight", {80});
  AddLinear(checkpoint, "cap_embedder.1", 384, 80);
  checkpoint.Add("x_pad_token", {1, 384});
  checkpoint.Add("cap_pad_token", {1, 384});
  ASSERT_EQ(checkpoint.size(), 116u);

  const WeightView weights = checkpoint.Open();
  const dit::ContextRefiner refiner(weights, config);
  const dit::Dit dit(weights, config);
  const at::Tensor latent = FillTensor("input.latent", {16, 10, 14}, 3.4641016151377544);
  const auto canvas = dit.Prepare(
      10, 14, refiner.Refine(FillTensor("input.caption", {37, 80}, 6), [](std::string_view name, const at::Tensor& x) {
        if (name == "cap_embedder") ExpectSums(x, {75.0957, 8511.4615, 4686.5474}, 0.02, "cap_embedder");
        if (name == "context_refiner.1") ExpectSums(x, {-275.6776, 39267.8882, 98151.3343}, 0.1, "context_refiner.1");
      }));
  const at::Tensor output = dit.Velocity(latent, 0.357142895f, *canvas, [](std::string_view name, const at::Tensor& x) {
    if (name == "t_embedder") ExpectSums(x, {-3.8664, 139.3661, 116.7361}, 1e-3, "t_embedder");
    if (name == "noise_refiner.1") ExpectSums(x, {311.9568, 19757.0766, 25786.6137}, 0.1, "noise_refiner.1");
    if (name == "layers.0") ExpectSums(x, {1131.3596, 64978.1628, 147341.4039}, 0.3, "layers.0");
    if (name == "layers.2") ExpectSums(x, {2394.9057, 76483.8852, 198047.1059}, 0.3, "layers.2");
  });
  // The fp64 run of the reference page.
  const double first[] = {-0.440134, -0.368534, -0.888033, 0.102439, -2.412567, -1.427269};
  for (int i = 0; i < 6; ++i) EXPECT_NEAR(output.flatten()[i].item<double>(), first[i], 1e-4) << i;
  const double last[] = {-2.889033, -1.230182, -3.083013};
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(output.flatten()[i - 3].item<double>(), last[i], 1e-4) << i;
  ExpectSums(output, {-387.4000, 2332.4373, 3958.4525}, 0.02, "output");
}

TEST(PublishedNumbers, TheTinyVaeOfSection11) {
  const vae::Config config = TinyVae();
  FormulaCheckpoint checkpoint;
  AddConv(checkpoint, "decoder.conv_in", 64, 16, 3);
  AddMidBlock(checkpoint, "decoder.mid_block", 64);
  const int64_t channels[] = {64, 64, 64, 32};
  for (int block = 0; block < 4; ++block) {
    const std::string name = "decoder.up_blocks." + std::to_string(block);
    for (int i = 0; i < 3; ++i) {
      AddResnet(checkpoint, name + ".resnets." + std::to_string(i),
                i == 0 && block > 0 ? channels[block - 1] : channels[block], channels[block]);
    }
    if (block < 3) AddConv(checkpoint, name + ".upsamplers.0.conv", channels[block], channels[block], 3);
  }
  AddNorm(checkpoint, "decoder.conv_norm_out", 32);
  AddConv(checkpoint, "decoder.conv_out", 3, 32, 3);

  const vae::Decoder decoder(checkpoint.Open(), config);
  const at::Tensor image = decoder.Decode(decoder.Unscale(FillTensor("input.z", {16, 12, 20}, 3.4641016151377544)));
  ASSERT_EQ(image.sizes(), (at::IntArrayRef{3, 96, 160}));
  const double first[] = {0.230331, 0.243635, 0.168584, 0.107788, 0.123518, 0.270829};
  for (int i = 0; i < 6; ++i) EXPECT_NEAR(image.flatten()[i].item<double>(), first[i], 1e-4) << i;
  ExpectSums(image, {2698.6925, 20469.3826, 15317.7349}, 0.1, "decoded");
  const at::Tensor bytes = vae::ToBytes(image);
  EXPECT_NEAR(bytes.to(at::kLong).sum().item<double>(), 6176778,
              20);  // a handful of pixels may fall to the other side of a half
  const int row[4][3] = {{157, 118, 159}, {159, 129, 129}, {149, 150, 119}, {141, 146, 119}};
  for (int x = 0; x < 4; ++x) {
    for (int c = 0; c < 3; ++c) EXPECT_EQ(bytes[0][x][c].item<int>(), row[x][c]);
  }
}

TEST(PublishedNumbers, TheTinyVaesEncoderOfSection11) {
  FormulaCheckpoint checkpoint;
  AddConv(checkpoint, "encoder.conv_in", 32, 3, 3);
  const int64_t channels[] = {32, 64, 64, 64};
  for (int block = 0; block < 4; ++block) {
    const std::string name = "encoder.down_blocks." + std::to_string(block);
    for (int i = 0; i < 2; ++i) {
      AddResnet(checkpoint, name + ".resnets." + std::to_string(i),
                i == 0 && block > 0 ? channels[block - 1] : channels[block], channels[block]);
    }
    if (block < 3) AddConv(checkpoint, name + ".downsamplers.0.conv", channels[block], channels[block], 3);
  }
  AddMidBlock(checkpoint, "encoder.mid_block", 64);
  AddNorm(checkpoint, "encoder.conv_norm_out", 64);
  AddConv(checkpoint, "encoder.conv_out", 32, 64, 3);

  const vae::Config config = TinyVae();
  const vae::Encoder encoder(checkpoint.Open(), config);
  const at::Tensor moments = encoder.Encode(FillTensor("input.image", {3, 48, 80}, 2));
  ASSERT_EQ(moments.sizes(), (at::IntArrayRef{32, 6, 10}));
  const double first[] = {0.070834, 0.461667, -0.179181, -0.984898, -0.385335, -0.937024};
  for (int i = 0; i < 6; ++i) EXPECT_NEAR(moments.flatten()[i].item<double>(), first[i], 1e-4) << i;
  const double last[] = {-0.408988, 0.416222, 0.545052};
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(moments.flatten()[i - 3].item<double>(), last[i], 1e-4) << i;
  ExpectSums(moments, {-143.6529, 1256.2994, 1330.8055}, 0.02, "moments");
  const at::Tensor latent = vae::Scale(vae::Posterior(moments).mean, config);
  EXPECT_NEAR(latent.flatten()[3].item<double>(), -0.397498, 1e-4);
  EXPECT_NEAR(latent.flatten()[-1].item<double>(), 0.007599, 1e-4);
  ExpectSums(latent, {-112.9380, 239.8886, 97.1684}, 0.01, "scaled means");
}

}  // namespace
}  // namespace diptych
