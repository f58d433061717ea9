// A main for fuzz targets where libFuzzer is not at hand: feeds the seeds, then mutations of them, to the target.
//
//   NAME SECONDS [FILE|FOLDER ...]       as many inputs as fit into the time
//   NAME --input N [FILE|FOLDER ...]     input N of such a run alone, to look at a crash
//
// Input N depends on N and the seed files only. A crash is announced with its number.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);
extern "C" void __sanitizer_set_death_callback(void (*callback)()) __attribute__((weak));

namespace {

constexpr uint64_t kRandomSeed = 20261;
volatile std::sig_atomic_t current_input = 0;

void AnnounceInput() {
  char line[96];
  const int size = std::snprintf(line, sizeof(line), "\nfuzz: failed on input %ld; --input %ld repeats it\n",
                                 static_cast<long>(current_input), static_cast<long>(current_input));
  if (write(STDERR_FILENO, line, size) != size) return;
}

// SA_RESETHAND: returning repeats the fault with the action that was there before, or ends an abort().
void OnSignal(int) { AnnounceInput(); }

void CatchFatalSignals() {
  if (__sanitizer_set_death_callback != nullptr) {  // its own handlers print a better report
    __sanitizer_set_death_callback(AnnounceInput);
    return;
  }
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
    struct sigaction action = {};
    action.sa_handler = OnSignal;
    action.sa_flags = SA_RESETHAND;
    sigaction(signal, &action, nullptr);
  }
}

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<std::string> ReadSeeds(int count, char** paths) {
  std::vector<std::filesystem::path> files;
  for (int i = 0; i < count; ++i) {
    if (!std::filesystem::is_directory(paths[i])) {
      files.push_back(paths[i]);
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(paths[i])) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::vector<std::string> seeds;
  for (const auto& file : files) seeds.push_back(ReadFile(file));
  if (seeds.empty()) seeds.emplace_back();
  return seeds;
}

class Mutator {
 public:
  Mutator(const std::vector<std::string>& seeds, uint64_t input) : seeds_(seeds), random_(kRandomSeed + input) {}

  std::string MakeInput() {
    std::string bytes = AnySeed();
    const uint64_t times = 1 + Below(6);
    for (uint64_t i = 0; i < times; ++i) MutateOnce(bytes);
    return bytes;
  }

 private:
  uint64_t Below(uint64_t end) { return end == 0 ? 0 : random_() % end; }
  const std::string& AnySeed() { return seeds_[Below(seeds_.size())]; }

  // Bytes with a meaning in the formats we read: JSON, UTF-8, little-endian lengths.
  std::string InterestingBytes() {
    static const std::vector<std::string> kText = {"\"",
                                                   "{",
                                                   "}",
                                                   "[",
                                                   "]",
                                                   ",",
                                                   ":",
                                                   "\\",
                                                   "0",
                                                   "-1",
                                                   "9",
                                                   "1e999",
                                                   "null",
                                                   "true",
                                                   "false",
                                                   "\"\"",
                                                   "{}",
                                                   "[]",
                                                   "\\ud800",
                                                   "\n",
                                                   " ",
                                                   "18446744073709551616",
                                                   "-9223372036854775808",
                                                   "\xFF",
                                                   "\x80",
                                                   "\xC3\xA9",
                                                   "\xF0\x9F\x90\xB1"};
    static constexpr uint64_t kNumbers[] = {0,
                                            1,
                                            0x7F,
                                            0x80,
                                            0xFF,
                                            0x7FFF,
                                            0xFFFF,
                                            0x7FFFFFFF,
                                            0x80000000,
                                            0xFFFFFFFF,
                                            0x7FFFFFFFFFFFFFFF,
                                            0x8000000000000000,
                                            0xFFFFFFFFFFFFFFFF};
    if (Below(2) == 0) return kText[Below(kText.size())];
    const uint64_t number = kNumbers[Below(std::size(kNumbers))];
    std::string bytes(size_t{1} << Below(4), '\0');
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(number >> 8 * i);
    return bytes;
  }

  void MutateOnce(std::string& bytes) {
    const size_t at = Below(bytes.size() + 1);
    const size_t length = std::min<size_t>(bytes.size() - at, 1 + Below(uint64_t{1} << Below(8)));
    switch (Below(8)) {
      case 0:
      case 1:
        if (at < bytes.size()) bytes[at] = static_cast<char>(bytes[at] ^ 1 << Below(8));
        break;
      case 2:
        bytes.insert(at, InterestingBytes());
        break;
      case 3: {
        const std::string value = InterestingBytes();
        bytes.replace(at, std::min(value.size(), bytes.size() - at), value);
        break;
      }
      case 4:
        bytes.erase(at, length);
        break;
      case 5:
        bytes.insert(Below(bytes.size() + 1), bytes.substr(at, length));
        break;
      case 6: {  // splice
        const std::string& other = AnySeed();
        bytes.replace(at, std::string::npos, other, Below(other.size() + 1), std::string::npos);
        break;
      }
      case 7:
        bytes.resize(at);
        break;
    }
  }

  const std::vector<std::string>& seeds_;
  std::mt19937_64 random_;
};

void RunInput(const std::vector<std::string>& seeds, uint64_t input) {
  current_input = static_cast<std::sig_atomic_t>(input);
  const std::string bytes = input < seeds.size() ? seeds[input] : Mutator(seeds, input).MakeInput();
  // An exact heap copy, so that a sanitizer sees a read past the end.
  const std::vector<uint8_t> exact(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

}  // namespace

int main(int argc, char** argv) {
  const bool one = argc >= 3 && std::strcmp(argv[1], "--input") == 0;
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s SECONDS [FILE|FOLDER ...] | --input N [FILE|FOLDER ...]\n", argv[0]);
    return 2;
  }
  const int first_path = one ? 3 : 2;
  const std::vector<std::string> seeds = ReadSeeds(argc - first_path, argv + first_path);
  CatchFatalSignals();
  if (one) {
    RunInput(seeds, std::strtoull(argv[2], nullptr, 10));
    return 0;
  }
  std::printf("fuzz: %zu seed files, random seed %llu\n", seeds.size(), static_cast<unsigned long long>(kRandomSeed));
  std::fflush(stdout);
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(std::atof(argv[1]));
  uint64_t inputs = 0;
  // Every seed runs, however short the time.
  while (inputs < seeds.size() || std::chrono::steady_clock::now() < end) RunInput(seeds, inputs++);
  std::printf("fuzz: %llu inputs, no failure\n", static_cast<unsigned long long>(inputs));
  return 0;
}
