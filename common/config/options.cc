// The option table. One row a key; nothing else in the project states a default, a range or a flag's name.
#include "common/config/options.h"

#include <algorithm>
#include <type_traits>

#include "common/picture/picture_spec.h"

namespace diptych::options {
namespace {

constexpr std::string_view kDevices = "auto,cpu,cuda";
constexpr std::string_view kDtypes = "auto,bfloat16,float32";
// Why a flag has no environment variable: set once, it would change every later command.
constexpr std::string_view kOneCommand = "it says what one command works on";
constexpr int64_t kLargestSide = members::kWidth.most;
constexpr int64_t kLargestStoreMiB = 1 << 30;  // a pebibyte

// The row of an option that sets a member of PictureSpec: its range is the member's, where the row states none.
template <typename Member>
constexpr OptionInfo Of(const Member& member, OptionInfo row) {
  row.member = member.name;
  if constexpr (std::is_floating_point_v<typename Member::Value>) {
    row.least_number = member.least;
    row.most_number = member.most;
  } else if constexpr (std::is_integral_v<typename Member::Value>) {
    row.least = std::max(row.least, int64_t{member.least});
    row.most = std::min(row.most, int64_t{member.most});
  }
  return row;
}

}  // namespace

// One row, one paragraph.
// clang-format off
const Option<std::string> kConfig({.flag = "--config", .unit = "FILE",
    .help = "TOML file with profiles of settings; none: read no file; unset: ~/.config/diptych/diptych.toml, else "
            "/etc/diptych/diptych.toml, where there is one", .programs = kEveryProgram});
const Option<std::string> kProfile({.flag = "--profile", .default_text = "default", .unit = "NAME",
    .help = "profile of the TOML file to use", .programs = kEveryProgram});
const Option<std::string> kLogLevel({.key = "log.level", .flag = "--log-level", .default_text = "info",
    .choices = "debug,info,warning,error", .help = "least important log lines to show", .programs = kEveryProgram});
const Option<bool> kDebug({.flag = "--debug", .aliases = "--verbose,-v", .default_text = "false",
    .help = "short for --log-level debug", .programs = kEveryProgram});
const Option<bool> kLogPrompts({.key = "log.prompts", .flag = "--log-prompts", .default_text = "false",
    .help = "write prompts into the log, up to 4000 bytes of each line; otherwise only their length appears",
    .programs = kEncoderd | kRenderd});
const Option<bool> kInsecure({.key = "insecure", .flag = "--insecure", .default_text = "false",
    .help = "allow plain text connections that leave this machine; without it only loopback addresses are accepted",
    .programs = kEncoderd | kRenderd | kCliConnection});
const Option<std::string> kTlsCert({.key = "tls.cert", .flag = "--tls-cert", .unit = "FILE",
    .help = "own certificate, PEM, with those between it and its CA; any --tls flag encrypts all connections",
    .programs = kEncoderd | kRenderd | kCliConnection});
const Option<std::string> kTlsKey({.key = "tls.key", .flag = "--tls-key", .unit = "FILE",
    .help = "private key of --tls-cert, PEM, without a password", .programs = kEncoderd | kRenderd | kCliConnection});
const Option<std::string> kTlsCa({.key = "tls.ca", .flag = "--tls-ca", .unit = "FILE",
    .help = "CA, PEM, that others' certificates must be of; a daemon then requires one of every client, and its name is "
            "the client's; system: the system's CAs, which judge servers also when this is unset",
    .programs = kEncoderd | kRenderd | kCliConnection});

const Option<bool> kIgnoreMemory({.key = "ignore_memory", .flag = "--ignore-memory", .default_text = "false",
    .help = "load and paint even what does not fit into the memory that is available",
    .programs = kEncoderd | kRenderd | kCliPrivate});

const Option<std::string> kModelPath({.key = "model_path", .flag = "--model-path", .aliases = "-m,--model", .unit = "DIR",
    .help = "checkpoint folder with tokenizer, text_encoder, transformer, vae and scheduler",
    .programs = kEncoderd | kRenderd | kCliTokenizer});
const Option<std::string> kTextEncoderPath({.key = "text_encoder_path", .flag = "--text-encoder-path", .unit = "PATH",
    .help = "text encoder, in place of the one in the checkpoint folder; a renderer leaves memory for one on its host",
    .programs = kEncoderd | kRenderd | kCliTokenizer});
const Option<std::string> kTransformerPath({.key = "transformer_path", .flag = "--transformer-path", .unit = "PATH",
    .help = "diffusion transformer, in place of the one in the checkpoint folder",
    .programs = kRenderd | kCliMachine});
const Option<std::string> kVaePath({.key = "vae_path", .flag = "--vae-path", .unit = "PATH",
    .help = "VAE, in place of the one in the checkpoint folder", .programs = kRenderd | kCliMachine});
const Option<std::string> kFingerprintCache({.key = "fingerprint_cache", .flag = "--fingerprint-cache", .unit = "DIR",
    .help = "folder where fingerprints of weights are remembered, so that a later start need not read them all; none: nowhere; unset: "
            "$XDG_CACHE_HOME/diptych/fingerprints, of a service with CacheDirectory= $CACHE_DIRECTORY/fingerprints, else "
            "~/.cache/diptych/fingerprints",
    .programs = kEncoderd | kRenderd | kCliPrivate | kCliModels});

const Option<std::string> kEncoderListen({.key = "encoder.listen", .flag = "--listen", .default_text = "127.0.0.1:7871",
    .unit = "HOST:PORT", .help = "address that the encoder listens on", .programs = kEncoderd});
const Option<std::string> kEncoderDevice({.key = "encoder.device", .flag = "--text-encoder-device",
    .default_text = "auto", .choices = kDevices, .help = "where the text encoder computes",
    .programs = kEncoderd | kCliPrivate});
const Option<std::string> kEncoderTorchDtype({.key = "encoder.torch_dtype", .flag = "--torch-dtype",
    .default_text = "auto", .choices = kDtypes, .help = "number format of the text encoder; auto is bfloat16",
    .programs = kEncoderd});
const Option<int64_t> kEncoderThreads({.key = "encoder.threads", .flag = "--threads", .aliases = "-t", .default_text = "0", .least = 0,
    .most = 1024, .help = "CPU threads that the encoder computes with; 0: one for each physical core",
    .programs = kEncoderd});
const Option<int64_t> kEncoderPromptByteLimit({.key = "encoder.prompt_byte_limit", .flag = "--prompt-byte-limit",
    .default_text = "1048576", .least = 1, .most = 1'048'576, .unit = "bytes",
    .help = "longer prompts are refused; all parts count together", .programs = kEncoderd});
const Option<std::string> kEncoderMetricsListen({.key = "encoder.metrics_listen", .flag = "--metrics-listen",
    .unit = "HOST:PORT", .help = "address where Prometheus finds /metrics; empty: none", .programs = kEncoderd});

const Option<int64_t> kEncoderConnections({.key = "encoder.connections", .flag = "--connections",
    .default_text = "1024", .least = 1, .most = 100'000, .help = "connections at a time; more are closed at once",
    .programs = kEncoderd});
const Option<int64_t> kEncoderConnectionsPerHost({.key = "encoder.connections_per_host",
    .flag = "--connections-per-host", .default_text = "256", .least = 1, .most = 100'000,
    .help = "connections of one host at a time; more are closed at once", .programs = kEncoderd});
const Option<int64_t> kEncoderWaiting({.key = "encoder.waiting", .flag = "--waiting", .default_text = "64", .least = 1,
    .most = 1000, .help = "prompts in line and in work at a time; more are asked to come again", .programs = kEncoderd});
const Option<int64_t> kEncoderWaitingPerHost({.key = "encoder.waiting_per_host", .flag = "--waiting-per-host",
    .default_text = "32", .least = 1, .most = 1000, .help = "the same, of one host", .programs = kEncoderd});

const Option<std::string> kRenderListen({.key = "render.listen", .flag = "--listen", .default_text = "127.0.0.1:7872",
    .unit = "HOST:PORT", .help = "address that the renderer listens on", .programs = kRenderd});
const Option<std::string> kRenderMetricsListen({.key = "render.metrics_listen", .flag = "--metrics-listen",
    .unit = "HOST:PORT", .help = "address where Prometheus finds /metrics; empty: none", .programs = kRenderd});
const Option<int64_t> kRenderConnections({.key = "render.connections", .flag = "--connections",
    .default_text = "1024", .least = 1, .most = 100'000, .help = "connections at a time; more are closed at once",
    .programs = kRenderd});
const Option<int64_t> kRenderConnectionsPerHost({.key = "render.connections_per_host",
    .flag = "--connections-per-host", .default_text = "256", .least = 1, .most = 100'000,
    .help = "connections of one host at a time; more are closed at once", .programs = kRenderd});
const Option<TextList> kRenderEncoders({.key = "render.encoders", .flag = "--encoder", .unit = "HOST:PORT",
    .help = "encoder to ask for conditioning; repeat the flag for several", .programs = kRenderd});
const Option<TextList> kRenderAdminNames({.key = "render.admin_names", .flag = "--admin-name", .unit = "NAME",
    .help = "client certificate of this name may cancel and remove others' jobs and hold the queue up; repeat the flag "
            "for several; used with --tls-ca", .programs = kRenderd});
const Option<std::string> kRenderStateDir({.key = "render.state_dir", .flag = "--state-dir", .unit = "DIR",
    .help = "folder for the job queue and the pictures; required", .programs = kRenderd});
const Option<std::string> kDitDevice({.key = "devices.dit", .flag = "--dit-device", .default_text = "auto",
    .choices = kDevices, .help = "where the diffusion transformer computes", .programs = kRenderd | kCliPrivate});
const Option<std::string> kVaeDevice({.key = "devices.vae", .flag = "--vae-device", .default_text = "auto",
    .choices = kDevices, .help = "where the VAE computes", .programs = kRenderd | kCliPrivate});
const Option<std::string> kRenderTorchDtype({.key = "pipeline.torch_dtype", .flag = "--torch-dtype",
    .default_text = "auto", .choices = kDtypes,
    .help = "number format of the transformer; auto is bfloat16 on CUDA and float32 on the CPU; the VAE has float32",
    .programs = kRenderd});
const Option<int64_t> kRenderThreads({.key = "render.threads", .flag = "--threads", .aliases = "-t", .default_text = "0", .least = 0,
    .most = 1024, .help = "CPU threads that the renderer computes with; 0: one for each physical core",
    .programs = kRenderd});
const Option<int64_t> kRenderQueueLimit({.key = "render.queue_limit", .flag = "--queue-limit", .default_text = "10000",
    .least = 1, .most = 1'000'000, .unit = "jobs", .help = "jobs that may wait; more are refused",
    .programs = kRenderd});
const Option<int64_t> kRenderClientQueueLimit({.key = "render.client_queue_limit", .flag = "--client-queue-limit",
    .aliases = "--max-client-pictures", .default_text = "1000", .least = 0, .most = 1'000'000, .unit = "jobs",
    .help = "jobs of one client that may wait, a picture each; 0: as many as of all", .programs = kRenderd});
const Option<int64_t> kRenderHostQueueLimit({.key = "render.host_queue_limit", .flag = "--host-queue-limit",
    .default_text = "2000", .least = 0, .most = 1'000'000, .unit = "jobs",
    .help = "unfinished jobs of one host, whatever names its clients give; 0: as many as of all",
    .programs = kRenderd});
const Option<int64_t> kRenderHostQueueMegabytes({.key = "render.host_queue_mb", .flag = "--host-queue-mb",
    .default_text = "1000", .least = 0, .most = 1'000'000'000, .unit = "MB",
    .help = "prompts and embeddings of the unfinished jobs of one host; 0: no limit", .programs = kRenderd});
const Option<int64_t> kRenderInputsMegabytes({.key = "render.inputs_mb", .flag = "--inputs-mb",
    .default_text = "4000", .least = 0, .most = 1'000'000'000, .unit = "MB",
    .help = "source pictures and masks that are kept, all together; 0: no limit", .programs = kRenderd});
const Option<int64_t> kRenderHostInputsMegabytes({.key = "render.host_inputs_mb", .flag = "--host-inputs-mb",
    .default_text = "1000", .least = 0, .most = 1'000'000'000, .unit = "MB",
    .help = "what one host may upload of them within an hour; 0: no limit", .programs = kRenderd});
const Option<int64_t> kRenderMaxPixels({.key = "render.max_pixels", .flag = "--max-pixels", .default_text = "0",
    .least = 0, .most = kLargestSide * kLargestSide, .unit = "px",
    .help = "width x height of the largest picture that is taken; 0: what the model can", .programs = kRenderd});
const Option<int64_t> kRenderMaxSteps({.key = "render.max_steps", .flag = "--max-steps", .default_text = "0",
    .least = 0, .most = 1000, .unit = "steps", .help = "most steps of a picture that is taken; 0: 1000",
    .programs = kRenderd});
const Option<int64_t> kRenderMaxPromptTokens({.key = "render.max_prompt_tokens", .flag = "--max-prompt-tokens",
    .default_text = "0", .least = 0, .most = 1'000'000, .unit = "tokens",
    .help = "a job whose prompt or negative prompt has more tokens fails before it is encoded; 0: what the text model "
            "takes", .programs = kRenderd});
const Option<int64_t> kRenderClientWorkLimit({.key = "render.client_work_limit", .flag = "--client-work-limit",
    .default_text = "0", .least = 0, .most = 1000, .unit = "jobs",
    .help = "jobs of one client that may be encoded, ready or painted at a time; 0: no limit", .programs = kRenderd});
const Option<int64_t> kRenderEncodeAhead({.key = "render.encode_ahead", .flag = "--encode-ahead", .default_text = "2",
    .least = 1, .most = 64, .unit = "jobs",
    .help = "waiting jobs that are encoded while another is painted; at least as many as render.batch",
    .programs = kRenderd});
const Option<int64_t> kRenderBatch({.key = "render.batch", .flag = "--batch", .default_text = "1", .least = 1,
    .most = 16, .unit = "jobs", .help = "jobs of the same size, steps and shift that may be painted together",
    .programs = kRenderd});
const Option<int64_t> kRenderPreviewEvery({.key = "render.preview_every", .flag = "--preview-every",
    .default_text = "1", .least = 0, .most = 1000, .unit = "steps",
    .help = "how often a watcher who wants previews gets one; 0: never", .programs = kRenderd});
const Option<double> kRenderKeepDays({.key = "render.keep_days", .flag = "--keep-days", .default_text = "30",
    .least_number = 0, .most_number = 36500, .unit = "days",
    .help = "jobs that ended longer ago are forgotten with their pictures; 0: no matter how long ago", .programs = kRenderd});
const Option<int64_t> kRenderKeepJobs({.key = "render.keep_jobs", .flag = "--keep-jobs", .default_text = "100000",
    .least = 0, .most = 100'000'000, .unit = "jobs",
    .help = "jobs that have ended and are kept; the oldest of the host with most are forgotten with their pictures; 0: "
            "all",
    .programs = kRenderd});
const Option<int64_t> kRenderKeepMegabytes({.key = "render.keep_mb", .flag = "--keep-mb", .default_text = "20000",
    .least = 0, .most = 1'000'000'000, .unit = "MB",
    .help = "pictures and prompts that are kept, in all; the oldest jobs of the host with most are forgotten with theirs; "
            "0: all",
    .programs = kRenderd});
const Option<int64_t> kRenderMinFreeMegabytes({.key = "render.min_free_mb", .flag = "--min-free-mb",
    .default_text = "256", .least = 0, .most = 1'000'000'000, .unit = "MB",
    .help = "kept free on the disk of the state folder, or a twentieth of a smaller disk: no new job is taken with less; "
            "0: nothing",
    .programs = kRenderd});
const Option<double> kRenderStopTimeout({.key = "render.stop_timeout_s", .flag = "--stop-timeout",
    .default_text = "10", .least_number = 0, .most_number = 3600, .unit = "s",
    .help = "how long a daemon that is told to stop waits for the step under way", .programs = kRenderd});
const Option<double> kRenderEncodeTimeout({.key = "render.encode_timeout_s", .flag = "--encode-timeout",
    .default_text = "600", .least_number = 0.1, .most_number = 86400, .unit = "s",
    .help = "how long an encoder may take for one prompt before the job fails", .programs = kRenderd});
const Option<double> kRenderEncoderPatience({.key = "render.encoder_patience", .flag = "--encoder-patience",
    .default_text = "0", .least_number = 0, .most_number = 604800, .unit = "s",
    .help = "how long a job waits while no encoder answers before it fails; 0: for as long as it takes",
    .programs = kRenderd});
const Option<std::string> kRenderEncoderFingerprint({.key = "render.encoder_fingerprint",
    .flag = "--encoder-fingerprint", .unit = "SHA256",
    .help = "the text encoder model to work with, 64 hexadecimal digits; unset: that of the first encoder that answers",
    .programs = kRenderd});
const Option<int64_t> kRenderConditioningMemory({.key = "render.conditioning_memory", .flag = "--conditioning-memory",
    .default_text = "256", .least = 0, .most = kLargestStoreMiB, .unit = "MiB",
    .help = "memory for finished conditioning, so that a prompt is encoded once; 0: none", .programs = kRenderd});
const Option<int64_t> kRenderConditioningDisk({.key = "render.conditioning_disk", .flag = "--conditioning-disk",
    .default_text = "4096", .least = 0, .most = kLargestStoreMiB, .unit = "MiB",
    .help = "disk space for finished conditioning, in the state folder; 0: none", .programs = kRenderd});
const Option<std::string> kTiledVae({.key = "pytorch.tiled_vae", .flag = "--tiled-vae", .default_text = "auto",
    .choices = "auto,on,off", .when_true = "on", .when_false = "off",
    .help = "decode in tiles; auto: when a side is longer than 1024 px", .programs = kRenderd | kCliPrivate});
const Option<int64_t> kTileSize({.key = "pytorch.tile_size", .flag = "--tile-size", .default_text = "512", .least = 64,
    .most = kLargestSide, .multiple = 16, .unit = "px", .help = "side of a VAE tile",
    .programs = kRenderd | kCliPrivate});
const Option<int64_t> kTileOverlap({.key = "pytorch.tile_overlap", .flag = "--tile-overlap", .default_text = "64",
    .least = 0, .most = kLargestSide / 2, .multiple = 8, .unit = "px",
    .help = "how far neighbouring VAE tiles overlap; at most half a tile", .programs = kRenderd | kCliPrivate});
const Option<bool> kUseCustomScheduler({.key = "pytorch.use_custom_scheduler", .flag = "--use-custom-scheduler",
    .default_text = "false", .help = "accepted and without effect: the shift is always honoured",
    .programs = kRenderd | kCliGenerate});

const Option<std::string> kSystemPrompt({.flag = "--system-prompt", .aliases = "--system",
    .unit = "TEXT", .help = "system turn before the prompt", .programs = kCliPrompt | kPromptLine});
const Option<std::string> kThinkingContent({.flag = "--thinking-content", .unit = "TEXT",
    .help = "text of the think block", .programs = kCliPrompt | kPromptLine});
const Option<std::string> kAssistantContent({.flag = "--assistant-content", .unit = "TEXT",
    .help = "text of the assistant turn, behind the think block", .programs = kCliPrompt | kPromptLine});
const Option<bool> kForceThinkBlock({.key = "generation.enable_thinking", .flag = "--force-think-block",
    .aliases = "--enable-thinking", .default_text = "false", .help = "an empty think block even without thinking text",
    .programs = kCliPrompt | kPromptLine});
const Option<bool> kRemoveQuotes({.flag = "--remove-quotes", .default_text = "false",
    .help = "delete every ASCII double quote from the prompt", .programs = kCliPrompt | kPromptLine});
const Option<bool> kKeepWhitespace({.flag = "--keep-whitespace", .default_text = "false",
    .help = "leave the whitespace of the prompt as it is", .programs = kCliPrompt | kPromptLine});
const Option<std::string> kPromptFile({.flag = "--prompt-file", .no_environment = kOneCommand, .unit = "FILE",
    .help = "the whole text of this file is the prompt, in place of PROMPT; -: standard input", .programs = kCliPrompt});
const Option<std::string> kConversation({.flag = "--conversation", .no_environment = kOneCommand, .unit = "FILE",
    .help = "whole conversation as JSON, in place of the prompt and its parts; -: standard input",
    .programs = kCliPrompt});

const Option<std::optional<int64_t>> kWidth(Of(members::kWidth, {.key = "generation.width", .flag = "--width", .aliases = "-W", .least = 16,
    .unit = "px",
    .help = "width of the picture, a multiple of 16 unless --fit says otherwise; unset: the model's own, of Z-Image-Turbo 1024",
    .programs = kCliPicture | kCliFit | kPromptLine}));
const Option<std::optional<int64_t>> kHeight(Of(members::kHeight, {.key = "generation.height", .flag = "--height", .aliases = "-H", .least = 16,
    .unit = "px",
    .help = "height of the picture, a multiple of 16 unless --fit says otherwise; unset: the model's own, of Z-Image-Turbo 1024",
    .programs = kCliPicture | kCliFit | kPromptLine}));
const Option<std::string> kSize({.flag = "--size", .unit = "WxH",
    .help = "short for --width and --height: 1024x768", .programs = kCliPicture | kCliFit | kPromptLine});
const Option<std::optional<int64_t>> kSteps(Of(members::kSteps, {.key = "generation.num_inference_steps", .flag = "--steps",
    .help = "denoising steps, each one evaluation of the transformer; unset: the model's own, of Z-Image-Turbo 9",
    .programs = kCliPicture | kPromptLine}));
const Option<std::optional<uint64_t>> kSeed({.flag = "--seed", .aliases = "-s", .instead = "leave it out for a random seed",
    .help = "seed of the initial noise; unset: drawn at random; of its 64 bits the noise takes the lower 32, so seeds that "
            "agree in these give the same picture",
    .programs = kCliPicture | kPromptLine});
const Option<std::string> kSeeds({.flag = "--seeds", .unit = "LIST",
    .help = "paint each prompt with each of these seeds and ranges of seeds: 7,11,20-23",
    .programs = kCliPicture | kPromptLine});
const Option<std::optional<double>> kShift(Of(members::kShift, {.key = "scheduler.shift", .flag = "--shift", .help = "shift of the noise schedule; unset: the checkpoint's own",
    .programs = kRenderd | kCliPicture | kPromptLine}));
const Option<std::optional<double>> kGuidanceScale(Of(members::kGuidanceScale, {.key = "generation.guidance_scale", .flag = "--guidance-scale",
    .help = "classifier-free guidance; 0: off; unset: the model's own, of Z-Image-Turbo off",
    .programs = kCliPicture | kPromptLine}));
const Option<std::string> kNegativePrompt({.key = "generation.negative_prompt", .flag = "--negative-prompt", .aliases = "--negative",
    .unit = "TEXT", .help = "what to keep away from; used with guidance", .programs = kCliPicture | kPromptLine});
const Option<double> kCfgNormalization(Of(members::kCfgNormalization, {.key = "generation.cfg_normalization", .flag = "--cfg-normalization",
    .default_text = "0",
    .help = "largest norm of the guided prediction, as a multiple of the unguided one; 0: off",
    .programs = kCliPicture | kPromptLine}));
const Option<double> kCfgTruncation(Of(members::kCfgTruncation, {.key = "generation.cfg_truncation", .flag = "--cfg-truncation",
    .default_text = "1",
    .help = "guidance ends where t passes this; 0 and 1: never", .programs = kCliPicture | kPromptLine}));
const Option<int64_t> kHiddenLayer(Of(members::kLayer, {.key = "encoder.hidden_layer", .flag = "--hidden-layer", .default_text = "-2", .help = "hidden state of the text encoder to use, from the end",
    .programs = kCliPicture | kPromptLine}));
const Option<std::string> kLongPromptMode(Of(members::kLongPromptMode, {.key = "pytorch.long_prompt_mode", .flag = "--long-prompt-mode",
    .default_text = "interpolate", .choices = "truncate,interpolate,pool,attention_pool",
    .help = "what happens to more tokens than the transformer takes", .programs = kCliPicture | kPromptLine}));
const Option<std::optional<double>> kStrength(Of(members::kStrength, {.key = "generation.strength", .flag = "--strength",
    .help = "how much of the source picture is given up: 0 keeps it, 1 paints anew; unset: 0.6, with a mask 1",
    .programs = kCliPicture | kPromptLine}));
const Option<std::string> kImg2Img({.flag = "--img2img", .aliases = "--init-img", .no_environment = kOneCommand, .unit = "FILE",
    .help = "PNG, JPEG or WebP that the picture begins as; without --width and --height it has that one's size", .programs = kCliPicture | kPromptLine});
const Option<std::string> kInpaint({.flag = "--inpaint", .no_environment = kOneCommand, .unit = "FILE",
    .help = "the same, to be painted anew where --mask, --mask-from-alpha or --extend say", .programs = kCliPicture | kPromptLine});
const Option<std::string> kMask({.flag = "--mask", .no_environment = kOneCommand, .unit = "FILE",
    .help = "picture of the source's size: what is white there is painted anew, what is black stays", .programs = kCliPicture | kPromptLine});
const Option<bool> kMaskFromAlpha(Of(members::kMaskFromAlpha, {.flag = "--mask-from-alpha", .default_text = "false",
    .help = "what is transparent in the source is painted anew", .programs = kCliPicture | kPromptLine}));
const Option<bool> kSoftMask(Of(members::kSoftMask, {.flag = "--soft-mask", .default_text = "false",
    .help = "greys of the mask mix old and new; else from the middle grey on it is painted anew", .programs = kCliPicture | kPromptLine}));
const Option<std::optional<int64_t>> kInpaintCrop(Of(members::kInpaintCrop, {.flag = "--inpaint-crop", .unit = "px",
    .help = "paint the part around the mask alone, with so much of the source on each side, at the picture's size, and put it back without a seam",
    .programs = kCliPicture | kPromptLine}));
const Option<std::string> kExtend({.flag = "--extend", .unit = "L,T,R,B",
    .help = "paint so many pixels around the source: left,top,right,bottom", .programs = kCliPicture | kPromptLine});
const Option<int64_t> kCount({.flag = "--count", .aliases = "-n", .default_text = "1", .least = 1, .most = 1000, .unit = "pictures",
    .help = "how many pictures, with following seeds", .programs = kCliPicture | kPromptLine});
const Option<std::string> kPrompts({.flag = "--prompts", .no_environment = kOneCommand, .unit = "FILE",
    .help = "many prompts: a line each, as it stands or as a JSON object with prompt and flags of its own; # begins a comment; -: standard input",
    .programs = kCliPicture});
const Option<std::string> kLoadEmbeddings({.flag = "--load-embeddings", .no_environment = kOneCommand,
    .unit = "FILE",
    .help = "saved embeddings, in place of encoding a prompt; -: standard input", .programs = kCliPicture});
const Option<std::string> kFromPicture({.flag = "--from-picture", .no_environment = kOneCommand, .unit = "FILE",
    .help = "repeat the picture in this PNG, JPEG or WebP (-: standard input); flags that are given change it", .programs = kCliPicture});

const Option<std::string> kClient({.key = "client.name", .flag = "--client", .unit = "NAME",
    .help = "who asks, for fairness in the queue: a label that nobody checks; unset: the login name. For the command jobs: only this client's",
    .programs = kCliQueue | kCliFilter | kCliCaller});
const Option<int64_t> kPriority({.key = "client.priority", .flag = "--priority", .default_text = "0", .least = -100,
    .most = 100, .help = "jobs of one client with a larger number come first",
    .programs = kCliQueue | kPromptLine});
const Option<std::string> kIdempotencyKey({.flag = "--idempotency-key",
    .no_environment = kOneCommand, .unit = "KEY",
    .help = "a name for this job of yours, at most 120 bytes: submitting it again gives the same job, not another",
    .programs = kCliQueue});
const Option<double> kDeadline({.flag = "--deadline", .default_text = "0", .least_number = 0,
    .most_number = 31'622'400, .unit = "s", .help = "the job fails if its picture is not done so long after it was accepted; 0: never",
    .programs = kCliQueue | kPromptLine});
const Option<std::string> kPreview({.flag = "--preview", .unit = "FILE",
    .help = "a JPEG that is replaced with every preview of the picture while it is painted",
    .programs = kCliPreview});
const Option<TextList> kFilterStates({.flag = "--state", .unit = "STATE",
    .help = "only jobs that are queued, encoding, ready, rendering, decoding, done, failed or cancelled; repeat the flag for several",
    .programs = kCliFilter | kCliSelect});
const Option<std::string> kFilterText({.flag = "--text", .unit = "TEXT",
    .help = "only jobs with this in their prompt, whatever the case of ASCII letters",
    .programs = kCliFilter | kCliSelect});
const Option<double> kFilterHours({.flag = "--hours", .default_text = "0", .least_number = 0, .most_number = 1'000'000,
    .unit = "h", .help = "only jobs accepted within the last so many hours; 0: all",
    .programs = kCliFilter | kCliSelect});
const Option<bool> kFilterMine({.flag = "--mine", .no_environment = kOneCommand, .default_text = "false",
    .help = "the jobs of your own name (--client)", .programs = kCliFilter | kCliSelect});
const Option<bool> kSelectAll({.flag = "--all", .no_environment = kOneCommand, .default_text = "false",
    .help = "the jobs of everybody", .programs = kCliSelect});
const Option<bool> kForce({.flag = "--force", .no_environment = kOneCommand, .default_text = "false",
    .help = "also what is another client's: a job, a pause; the renderer's log names both. For rm: without asking", .programs = kCliForce});
const Option<int64_t> kFilterLimit({.flag = "--limit", .default_text = "1000", .least = 1, .most = 1'000'000,
    .unit = "jobs", .help = "at most so many of the jobs that have ended, the newest", .programs = kCliFilter});
const Option<std::string> kRender({.key = "render.address", .flag = "--render", 
    .unit = "HOST:PORT", .help = "renderer to use", .programs = kCliConnection});
const Option<double> kTimeout({.key = "client.timeout_s", .flag = "--timeout", .default_text = "30",
    .least_number = 0.1, .most_number = 86400, .unit = "s",
    .help = "how long a renderer may leave a question unanswered; waiting for a picture is not limited",
    .programs = kCliConnection});
const Option<bool> kJson({.flag = "--json", .default_text = "false",
    .help = "print results as JSON, a line each, and an error as JSON on standard error", .programs = kCliJson});
const Option<bool> kQuiet({.flag = "--quiet", .aliases = "-q", .default_text = "false",
    .help = "nothing on standard error but errors", .programs = kCliCommon});
const Option<TextList> kOutput({.flag = "--output", .aliases = "-o,--out", .default_text = "output.png", .unit = "FILE",
    .help = "where the picture goes: a .png, .jpg or .webp file, a folder, or a pattern such as {date}/{seed}.png with {seed}, {index}, {prompt}, {date}, {time}, {width}, {height} and {steps}; missing folders are made; repeat the flag for several pictures",
    .programs = kCliOutput | kPromptLine});
const Option<std::string> kFormat({.flag = "--format", .default_text = "auto", .choices = "auto,png,jpg,webp",
    .help = "format of the file; auto: as its name says, else png", .programs = kCliOutput});
const Option<int64_t> kQuality({.flag = "--quality", .default_text = "90", .least = 1, .most = 100,
    .help = "quality of JPEG and WebP files", .programs = kCliOutput});
const Option<std::string> kFit({.flag = "--fit", .default_text = "none", .choices = "none,crop,pad,stretch",
    .help = "with --img2img and --inpaint how the source comes to the size of the picture: crop cuts off what stands out, pad fills up two sides, stretch (also none) changes its proportions. Without a source what becomes of sizes that are no multiple of 16: crop paints the next larger size and keeps its middle, pad paints the next smaller one and puts black edges around it; none refuses them. For fetch: the picture is cropped or padded to --width and --height",
    .programs = kCliPicture | kCliFit});
const Option<bool> kNoMetadata({.flag = "--no-metadata", .default_text = "false",
    .help = "leave out the receipt and the parameters, from which a picture is repeated", .programs = kCliOutput});
const Option<bool> kOverwrite({.flag = "--overwrite", .default_text = "false",
    .help = "replace whatever file is there, also under the default name, in folders and by patterns, which are numbered otherwise",
    .programs = kCliOutput});
const Option<std::string> kSaveEmbeddings({.flag = "--save-embeddings", .no_environment = kOneCommand,
    .unit = "FILE",
    .help = "encode only, and save the embeddings; missing folders are made", .programs = kCliGenerate});

const Option<std::string> kPrivateTorchDtype({.flag = "--torch-dtype", .default_text = "auto", .choices = kDtypes,
    .help = "number format of the private daemons", .programs = kCliPrivate});
const Option<int64_t> kPrivateThreads({.flag = "--threads", .aliases = "-t", .default_text = "0", .least = 0, .most = 1024,
    .help = "CPU threads of the private daemons; 0: one for each physical core", .programs = kCliMachine});

// clang-format on

}  // namespace diptych::options

namespace diptych {

std::span<const OptionInfo* const> AllOptions() {
  using namespace options;
  static constexpr const OptionInfo* kAll[] = {
      &kConfig.info, &kProfile.info, &kLogLevel.info, &kDebug.info, &kLogPrompts.info, &kInsecure.info, &kTlsCert.info,
      &kTlsKey.info, &kTlsCa.info, &kIgnoreMemory.info,
      // checkpoint
      &kModelPath.info, &kTextEncoderPath.info, &kTransformerPath.info, &kVaePath.info,
      &kFingerprintCache.info,
      // diptych-encoderd
      &kEncoderListen.info, &kEncoderDevice.info, &kEncoderTorchDtype.info, &kEncoderThreads.info,
      &kEncoderPromptByteLimit.info, &kEncoderMetricsListen.info, &kEncoderConnections.info,
      &kEncoderConnectionsPerHost.info, &kEncoderWaiting.info, &kEncoderWaitingPerHost.info, &kHiddenLayer.info,
      // diptych-renderd
      &kRenderListen.info, &kRenderMetricsListen.info, &kRenderConnections.info, &kRenderConnectionsPerHost.info,
      &kRenderEncoders.info, &kRenderAdminNames.info, &kRenderStateDir.info, &kRenderThreads.info, &kRenderQueueLimit.info,
      &kRenderClientQueueLimit.info, &kRenderHostQueueLimit.info, &kRenderHostQueueMegabytes.info, &kRenderInputsMegabytes.info,
      &kRenderHostInputsMegabytes.info,
      &kRenderMaxPixels.info, &kRenderMaxSteps.info, &kRenderMaxPromptTokens.info, &kRenderClientWorkLimit.info,
      &kRenderEncodeAhead.info, &kRenderBatch.info, &kRenderPreviewEvery.info, &kRenderKeepDays.info,
      &kRenderKeepJobs.info, &kRenderKeepMegabytes.info, &kRenderMinFreeMegabytes.info, &kRenderStopTimeout.info,
      &kRenderEncodeTimeout.info, &kRenderEncoderPatience.info, &kRenderEncoderFingerprint.info,
      &kRenderConditioningMemory.info, &kRenderConditioningDisk.info, &kRender.info, &kDitDevice.info, &kVaeDevice.info,
      &kRenderTorchDtype.info, &kShift.info, &kTiledVae.info, &kTileSize.info, &kTileOverlap.info,
      &kUseCustomScheduler.info, &kLongPromptMode.info,
      // diptych
      &kWidth.info, &kHeight.info, &kSize.info, &kSteps.info, &kSeed.info, &kSeeds.info, &kGuidanceScale.info,
      &kNegativePrompt.info, &kCfgNormalization.info, &kCfgTruncation.info, &kStrength.info, &kImg2Img.info,
      &kInpaint.info, &kMask.info, &kMaskFromAlpha.info, &kSoftMask.info, &kInpaintCrop.info, &kExtend.info,
      &kForceThinkBlock.info, &kSystemPrompt.info, &kThinkingContent.info, &kAssistantContent.info, &kRemoveQuotes.info,
      &kKeepWhitespace.info, &kPromptFile.info, &kConversation.info, &kCount.info, &kOutput.info, &kFormat.info,
      &kQuality.info, &kFit.info, &kNoMetadata.info, &kOverwrite.info, &kPrompts.info, &kLoadEmbeddings.info,
      &kSaveEmbeddings.info, &kFromPicture.info, &kClient.info, &kPriority.info, &kIdempotencyKey.info, &kDeadline.info,
      &kPreview.info, &kFilterStates.info, &kFilterText.info, &kFilterHours.info, &kFilterMine.info, &kSelectAll.info,
      &kFilterLimit.info, &kForce.info, &kTimeout.info, &kJson.info, &kQuiet.info, &kPrivateTorchDtype.info,
      &kPrivateThreads.info};
  return kAll;
}

}  // namespace diptych
