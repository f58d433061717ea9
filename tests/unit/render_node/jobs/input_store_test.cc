#include "render_node/jobs/input_store.h"

#include <filesystem>
#include <functional>
#include <optional>

#include "common/error/error.h"
#include "gtest/gtest.h"
#include "tests/unit/render_node/jobs/job_fixtures.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kBlock = 4096;  // what a small file takes

class InputStoreTest : public ::testing::Test {
 protected:
  InputStoreTest() { fs::create_directory(path_); }

  std::string Put(InputStore& store, const std::string& bytes, const std::string& host = "a") {
    const std::string hash = Sha256Hex(bytes);
    const auto upload = store.Begin(hash, static_cast<int64_t>(bytes.size()), host);
    upload->Add(bytes.substr(0, bytes.size() / 2));
    upload->Add(bytes.substr(bytes.size() / 2));
    upload->Finish();
    return hash;
  }
  int64_t Files() const { return std::distance(fs::directory_iterator(path_), {}); }
  void MakeOld(const std::string& hash, int minutes) {
    fs::last_write_time(path_ / hash, fs::file_time_type::clock::now() - std::chrono::minutes(minutes));
  }

  TemporaryFolder temporary_;
  const fs::path path_ = temporary_.path() / "inputs";
};

TEST_F(InputStoreTest, GivesBackWhatWasUploaded) {
  InputStore store(path_);
  const std::string hash = Put(store, "a picture");
  EXPECT_EQ(store.Load(hash), "a picture");
  EXPECT_EQ(store.Head(hash, 3), "a p");
  EXPECT_EQ(store.Bytes(), kBlock);
  EXPECT_EQ(InputStore(path_).Bytes(), kBlock) << "in the next life, too";
}

TEST_F(InputStoreTest, KeepsTheSameBytesOnce) {
  InputStore store(path_);
  EXPECT_EQ(Put(store, "same"), Put(store, "same"));
  EXPECT_EQ(Files(), 1);
  EXPECT_EQ(store.Bytes(), kBlock);
}

TEST_F(InputStoreTest, AnUploadThatIsNotFinishedLeavesNothing) {
  InputStore store(path_);
  {
    const auto upload = store.Begin(Sha256Hex("abc"), 3, "a");
    upload->Add("ab");
    EXPECT_EQ(store.Bytes(), kBlock) << "its room is taken";
  }
  EXPECT_EQ(Files(), 0);
  EXPECT_EQ(store.Bytes(), 0);
  EXPECT_FALSE(store.Renew(Sha256Hex("abc")));
}

TEST_F(InputStoreTest, RefusesOtherBytesThanWereSaid) {
  InputStore store(path_);
  const std::string hash = Sha256Hex("abc");
  const auto said = [&](int64_t bytes, const std::string& sent) {
    return ErrorOf([&] {
      const auto upload = store.Begin(hash, bytes, "a");
      upload->Add(sent);
      upload->Finish();
    });
  };
  for (const auto& error : {said(3, "abd"), said(4, "abc"), said(2, "abc")}) {
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), ErrorCode::kDataLoss);
  }
  EXPECT_EQ(std::string(said(4, "abc")->what()), "the input ends after 3 of 4 bytes");
  EXPECT_EQ(Files(), 0);
}

TEST_F(InputStoreTest, RefusesNamesAndLengthsThatAreNone) {
  InputStore store(path_, {.input_bytes = 10});
  for (const auto& error :
       {ErrorOf([&] { store.Begin("../x", 3, "a"); }), ErrorOf([&] { store.Begin("", 3, "a"); }),
        ErrorOf([&] { store.Begin(Sha256Hex("x"), 0, "a"); }), ErrorOf([&] { store.Begin(Sha256Hex("x"), -1, "a"); }),
        ErrorOf([&] { store.Begin(Sha256Hex("x"), 11, "a"); })}) {
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), ErrorCode::kInvalidArgument);
  }
  EXPECT_FALSE(store.Renew("../x"));
}

TEST_F(InputStoreTest, HasAnEndInAllAndForOneHost) {
  InputStore store(path_, {.input_bytes = 10, .all_bytes = 2 * kBlock + 100, .host_bytes = kBlock + 100});
  Put(store, "0123456789", "a");
  const auto more = ErrorOf([&] { Put(store, "abcdefghij", "a"); });
  ASSERT_TRUE(more);
  EXPECT_EQ(more->code(), ErrorCode::kResourceExhausted);
  Put(store, "abcdefghij", "b");
  const auto all = ErrorOf([&] { Put(store, "ABCDEFGHIJ", "c"); });
  ASSERT_TRUE(all);
  EXPECT_EQ(all->code(), ErrorCode::kResourceExhausted);
  EXPECT_EQ(store.Bytes(), 2 * kBlock);
}

TEST_F(InputStoreTest, SweepsNothingYoungerThanItPromises) {
  InputStore store(path_);
  const std::string hash = Put(store, "a picture");
  MakeOld(hash, 59);
  EXPECT_TRUE(store.NamesOlderThan(std::chrono::minutes(10)).empty()) << "an hour is promised";
  MakeOld(hash, 61);
  EXPECT_EQ(store.NamesOlderThan(std::chrono::minutes(10)), std::vector<std::string>{hash});
  EXPECT_TRUE(store.Renew(hash));
  EXPECT_FALSE(store.RemoveOlderThan(hash, std::chrono::minutes(10))) << "somebody asked for it";
  MakeOld(hash, 61);
  EXPECT_TRUE(store.RemoveOlderThan(hash, std::chrono::minutes(10)));
  EXPECT_EQ(store.Bytes(), 0);
}

TEST_F(InputStoreTest, TellsADamagedFileAndOneThatIsGone) {
  InputStore store(path_);
  const std::string hash = Put(store, "a picture");
  fs::resize_file(path_ / hash, 3);
  EXPECT_EQ(ErrorOf([&] { store.Load(hash); })->code(), ErrorCode::kDataLoss);
  EXPECT_EQ(Put(store, "a picture"), hash);
  EXPECT_EQ(store.Load(hash), "a picture") << "a new upload mends it";
  fs::remove(path_ / hash);
  EXPECT_EQ(ErrorOf([&] { store.Load(hash); })->code(), ErrorCode::kDataLoss);
  EXPECT_EQ(ErrorOf([&] { store.Head(hash, 3); })->code(), ErrorCode::kDataLoss);
}

}  // namespace
}  // namespace diptych
