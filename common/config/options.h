// Every configuration key of the three programs. Rows with default, range and help: options.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/config/option.h"

namespace diptych::options {

using TextList = std::vector<std::string>;

// All programs.
extern const Option<std::string> kConfig;    // read by SettingsLoader itself
extern const Option<std::string> kProfile;   // read by SettingsLoader itself
extern const Option<std::string> kLogLevel;  // ParseLogLevel takes it
extern const Option<bool> kDebug;            // turned into kLogLevel by SettingsLoader
extern const Option<bool> kLogPrompts;       // daemons
extern const Option<bool> kInsecure;         // daemons and connecting commands
extern const Option<std::string> kTlsCert;   // a file; likewise, as the next two
extern const Option<std::string> kTlsKey;    // a file
extern const Option<std::string> kTlsCa;     // a file, or "system"

// The checkpoint: daemons and the private form of the CLI.
extern const Option<bool> kIgnoreMemory;  // daemons and private runs
extern const Option<std::string> kModelPath;
extern const Option<std::string> kTextEncoderPath;
extern const Option<std::string> kTransformerPath;
extern const Option<std::string> kVaePath;
extern const Option<std::string> kFingerprintCache;  // FingerprintFolder takes it; models takes it too

// diptych-encoderd.
extern const Option<std::string> kEncoderListen;         // HOST:PORT
extern const Option<std::string> kEncoderDevice;         // auto, cpu, cuda; generate takes it too
extern const Option<std::string> kEncoderTorchDtype;     // auto, bfloat16, float32
extern const Option<int64_t> kEncoderThreads;            // 0: physical cores
extern const Option<int64_t> kEncoderPromptByteLimit;    // bytes of all parts together
extern const Option<std::string> kEncoderMetricsListen;  // HOST:PORT; empty: none
extern const Option<int64_t> kEncoderConnections;
extern const Option<int64_t> kEncoderConnectionsPerHost;
extern const Option<int64_t> kEncoderWaiting;         // prompts
extern const Option<int64_t> kEncoderWaitingPerHost;  // prompts

// diptych-renderd; generate takes devices and tiles too.
extern const Option<std::string> kRenderListen;         // HOST:PORT
extern const Option<std::string> kRenderMetricsListen;  // HOST:PORT; empty: none
extern const Option<int64_t> kRenderConnections;
extern const Option<int64_t> kRenderConnectionsPerHost;
extern const Option<TextList> kRenderEncoders;               // HOST:PORT each
extern const Option<TextList> kRenderAdminNames;             // names of certificates
extern const Option<std::string> kRenderStateDir;            // empty: not given, which the daemon refuses
extern const Option<std::string> kDitDevice;                 // auto, cpu, cuda
extern const Option<std::string> kVaeDevice;                 // auto, cpu, cuda
extern const Option<std::string> kRenderTorchDtype;          // auto, bfloat16, float32
extern const Option<int64_t> kRenderThreads;                 // 0: physical cores
extern const Option<int64_t> kRenderQueueLimit;              // jobs
extern const Option<int64_t> kRenderClientQueueLimit;        // jobs; 0: none
extern const Option<int64_t> kRenderHostQueueLimit;          // jobs; 0: none
extern const Option<int64_t> kRenderHostQueueMegabytes;      // 0: none
extern const Option<int64_t> kRenderInputsMegabytes;         // 0: none
extern const Option<int64_t> kRenderHostInputsMegabytes;     // 0: none
extern const Option<int64_t> kRenderMaxPixels;               // 0: none
extern const Option<int64_t> kRenderMaxSteps;                // 0: none
extern const Option<int64_t> kRenderMaxPromptTokens;         // 0: none
extern const Option<int64_t> kRenderClientWorkLimit;         // jobs; 0: none
extern const Option<int64_t> kRenderEncodeAhead;             // jobs
extern const Option<int64_t> kRenderBatch;                   // jobs; 1: each alone
extern const Option<int64_t> kRenderPreviewEvery;            // steps; 0: never
extern const Option<double> kRenderKeepDays;                 // 0: for ever
extern const Option<int64_t> kRenderKeepJobs;                // 0: all
extern const Option<int64_t> kRenderKeepMegabytes;           // 0: all
extern const Option<int64_t> kRenderMinFreeMegabytes;        // 0: none
extern const Option<double> kRenderStopTimeout;              // seconds
extern const Option<double> kRenderEncodeTimeout;            // seconds
extern const Option<double> kRenderEncoderPatience;          // seconds; 0: no end
extern const Option<std::string> kRenderEncoderFingerprint;  // 64 hex digits; empty: any
extern const Option<int64_t> kRenderConditioningMemory;      // MiB
extern const Option<int64_t> kRenderConditioningDisk;        // MiB; 0: none
extern const Option<std::string> kTiledVae;                  // auto: when a side exceeds 1024 px; on, off
extern const Option<int64_t> kTileSize;                      // px
extern const Option<int64_t> kTileOverlap;                   // px
extern const Option<bool> kUseCustomScheduler;               // no effect; generate takes it too

// diptych: parts of the prompt (kCliPrompt).
extern const Option<std::string> kSystemPrompt;
extern const Option<std::string> kThinkingContent;
extern const Option<std::string> kAssistantContent;
extern const Option<bool> kForceThinkBlock;
extern const Option<bool> kRemoveQuotes;
extern const Option<bool> kKeepWhitespace;
extern const Option<std::string> kPromptFile;
extern const Option<std::string> kConversation;  // a file with a JSON conversation

// diptych: the rest of what determines a picture (kCliPicture).
extern const Option<std::optional<int64_t>> kWidth;   // px; unset: the model's own, as the next three
extern const Option<std::optional<int64_t>> kHeight;  // px
extern const Option<std::string> kSize;               // "1024x768": turned into kWidth and kHeight by SettingsLoader
extern const Option<std::optional<int64_t>> kSteps;
extern const Option<std::optional<uint64_t>> kSeed;  // unset: drawn at random
extern const Option<std::string> kSeeds;             // ParseSeeds takes it; empty: not given
extern const Option<std::optional<double>>
    kShift;  // unset: the checkpoint's; diptych-renderd takes it too, as its default
extern const Option<std::optional<double>> kGuidanceScale;
extern const Option<std::string> kNegativePrompt;
extern const Option<double> kCfgNormalization;
extern const Option<double> kCfgTruncation;
extern const Option<std::optional<double>> kStrength;
extern const Option<std::string> kImg2Img;  // a file; empty: not given
extern const Option<std::string> kInpaint;  // likewise
extern const Option<std::string> kMask;     // likewise
extern const Option<bool> kMaskFromAlpha;
extern const Option<bool> kSoftMask;
extern const Option<std::optional<int64_t>> kInpaintCrop;  // px
extern const Option<std::string> kExtend;                  // ParseExtend takes it; empty: not given
extern const Option<int64_t> kHiddenLayer;
extern const Option<std::string> kLongPromptMode;  // ParseLongPromptMode takes it
extern const Option<int64_t> kCount;               // pictures, with following seeds
extern const Option<std::string> kPrompts;         // a file, ParsePromptFile takes its text; "-": standard input
extern const Option<std::string> kLoadEmbeddings;
extern const Option<std::string> kFromPicture;

// diptych: jobs, connection, results.
extern const Option<std::string> kClient;          // kCliQueue, kCliFilter; empty: the login name
extern const Option<int64_t> kPriority;            // kCliQueue
extern const Option<std::string> kIdempotencyKey;  // kCliQueue; empty: none
extern const Option<double> kDeadline;             // kCliQueue, seconds; 0: none
extern const Option<std::string> kPreview;         // kCliPreview; empty: none
extern const Option<TextList> kFilterStates;       // kCliFilter; empty: all
extern const Option<std::string> kFilterText;      // kCliFilter; empty: all
extern const Option<double> kFilterHours;          // kCliFilter; 0: all
extern const Option<bool> kFilterMine;             // kCliFilter, kCliSelect
extern const Option<bool> kSelectAll;              // kCliSelect
extern const Option<bool> kForce;                  // kCliForce
extern const Option<int64_t> kFilterLimit;         // kCliFilter
extern const Option<std::string> kRender;          // kCliConnection, HOST:PORT; empty: none configured
extern const Option<double> kTimeout;              // kCliConnection, seconds
extern const Option<bool> kJson;                   // kCliJson
extern const Option<bool> kQuiet;                  // kCliCommon
extern const Option<std::string> kFormat;
extern const Option<int64_t> kQuality;
extern const Option<std::string> kFit;  // kCliGenerate
extern const Option<bool> kNoMetadata;
extern const Option<bool> kOverwrite;
extern const Option<TextList> kOutput;             // kCliOutput
extern const Option<std::string> kSaveEmbeddings;  // kCliGenerate

// diptych: handed on to both private daemons when given (kCliPrivate; doctor judges the threads, kCliMachine).
extern const Option<std::string> kPrivateTorchDtype;
extern const Option<int64_t> kPrivateThreads;

}  // namespace diptych::options

namespace diptych {

// Every row, in the order of the documentation.
std::span<const OptionInfo* const> AllOptions();

}  // namespace diptych
