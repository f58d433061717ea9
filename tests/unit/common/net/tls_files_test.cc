#include "common/net/tls_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "common/net/tls_server.h"
#include "tests/support/certificates.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

class TlsFilesTest : public testing::Test {
 protected:
  TlsFilesTest() { fs::create_directories(folder); }
  ~TlsFilesTest() override { fs::remove_all(folder); }

  std::string File(const std::string& name, const std::string& text) const {
    std::ofstream(folder / name) << text;
    return (folder / name).string();
  }
  static std::string Refusal(const Credentials& credentials, TlsEnd end = TlsEnd::kServer) {
    const absl::Status status = ReadTlsFiles(credentials, end).status();
    return status.ok() ? "none" : std::string(status.message());
  }
  // Each part stands in the refusal.
  static void ExpectRefusal(const Credentials& credentials, const std::vector<std::string>& parts,
                            TlsEnd end = TlsEnd::kServer) {
    const std::string refusal = Refusal(credentials, end);
    for (const std::string& part : parts)
      EXPECT_NE(refusal.find(part), refusal.npos) << refusal << "\nwanted: " << part;
  }

  const fs::path folder = [] {
    const fs::path made = fs::temp_directory_path() / ("tls_files_test." + std::to_string(getpid()));
    fs::create_directories(made);
    return made;
  }();
  const TestAuthority authority{folder};
  const Credentials good = authority.Issue("good");
};

TEST_F(TlsFilesTest, TellsWhatTheCertificateIs) {
  const absl::StatusOr<TlsFiles> files = ReadTlsFiles(good, TlsEnd::kServer);
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(files->name, "box");
  EXPECT_EQ(files->summary.rfind("\"box\" of \"Test CA\", valid until 20", 0), 0) << files->summary;
  EXPECT_TRUE(files->warnings.empty());
}

TEST_F(TlsFilesTest, ACertificateWithoutACommonNameIsOfItsFirstHost) {
  EXPECT_EQ(
      ReadTlsFiles(authority.Issue("hosts", {.name = "", .hosts = "IP:10.0.0.7,DNS:gpu,DNS:other"}), TlsEnd::kClient)
          ->name,
      "gpu");
  EXPECT_EQ(ReadTlsFiles(authority.Issue("none", {.name = "", .hosts = ""}), TlsEnd::kClient)->name, "");
  // More than the 64 bytes that X.509 allows is made by no CA; a name with a line break could be.
  EXPECT_EQ(ReadTlsFiles(authority.Issue("break", {.name = "a\nb", .hosts = ""}), TlsEnd::kClient)->name, "");
}

TEST_F(TlsFilesTest, NamesTheFlagThatIsMissing) {
  ExpectRefusal({.cert = good.cert}, {"--tls-cert needs --tls-key"});
  ExpectRefusal({.key = good.key}, {"--tls-key needs --tls-cert"});
  ExpectRefusal({.ca = good.ca}, {"a daemon with TLS needs a certificate of its own"});
  EXPECT_EQ(Refusal({.ca = good.ca}, TlsEnd::kClient), "none");
  ExpectRefusal({.cert = good.cert, .key = good.key, .ca = "system"}, {"--tls-ca system at a daemon"});
  EXPECT_EQ(Refusal({.ca = "system"}, TlsEnd::kClient), "none");
}

TEST_F(TlsFilesTest, NamesTheFileThatCannotBeRead) {
  Credentials wrong = good;
  wrong.cert = authority.Path("nowhere.crt");
  ExpectRefusal(wrong, {"--tls-cert", "nowhere.crt: No such file"});
  wrong = good;
  wrong.key = folder.string();
  ExpectRefusal(wrong, {"--tls-key", "is not a file"});
  wrong = good;
  wrong.ca = File("empty.crt", "");
  ExpectRefusal(wrong, {"--tls-ca", "empty.crt holds no certificate"});
  wrong.ca = good.key;
  ExpectRefusal(wrong, {"--tls-ca", "good.key holds no certificate in PEM form (there is a private key)"});
  if (getuid() != 0) {
    wrong = good;
    wrong.key = File("locked.key", "x");
    chmod(wrong.key.c_str(), 0);
    ExpectRefusal(wrong, {"--tls-key", "locked.key cannot be read by this user"});
  }
}

TEST_F(TlsFilesTest, KeyAndCertificateMustBelongTogether) {
  const Credentials other = authority.Issue("other");
  ExpectRefusal({.cert = good.cert, .key = other.key}, {"other.key is not the key of --tls-cert", "\"box\""});
  ExpectRefusal({.cert = good.key, .key = good.key}, {"--tls-cert", "(there is a private key)"});
  ExpectRefusal({.cert = good.cert, .key = good.cert},
                {"--tls-key", "holds no private key", "(there is a certificate)"});
}

TEST_F(TlsFilesTest, AKeyWithAPasswordIsRefused) {
  const std::string locked = authority.Path("password.key");
  ASSERT_EQ(std::system(("openssl pkey -in '" + good.key + "' -aes256 -passout pass:x -out '" + locked + "'").c_str()),
            0);
  ExpectRefusal({.cert = good.cert, .key = locked}, {"--tls-key", "has a password", "openssl pkey -in"});
}

TEST_F(TlsFilesTest, OutsideItsTimeNothingIsTaken) {
  const Credentials past = authority.Issue("past", {.name = "old", .valid_from_s = -7200, .valid_until_s = -3600});
  ExpectRefusal(past, {"--tls-cert", "the certificate \"old\" expired on 20"});
  const Credentials future = authority.Issue("future", {.name = "new", .valid_from_s = 3600});
  ExpectRefusal(future, {"the certificate \"new\" is not valid before 20", "clock"});
  const TestAuthority gone(folder, "gone",
                           {.name = "Old CA", .hosts = "", .usage = "", .valid_from_s = -7200, .valid_until_s = -3600});
  Credentials old_ca = good;
  old_ca.ca = gone.ca();
  ExpectRefusal(old_ca, {"--tls-ca", "the CA \"Old CA\" expired on 20"});
}

TEST_F(TlsFilesTest, WarnsOfAKeyThatAllMayReadAndOfACertificateThatSoonExpires) {
  const Credentials soon = authority.Issue("soon", {.valid_until_s = 24 * 3600});
  chmod(soon.key.c_str(), 0644);
  const absl::StatusOr<TlsFiles> files = ReadTlsFiles(soon, TlsEnd::kServer);
  ASSERT_TRUE(files.ok()) << files.status();
  ASSERT_EQ(files->warnings.size(), 2U);
  EXPECT_NE(files->warnings[0].find("expires on 20"), std::string::npos) << files->warnings[0];
  EXPECT_NE(files->warnings[1].find("may be read by every user"), std::string::npos) << files->warnings[1];
}

TEST_F(TlsFilesTest, AServerReadsWhatHasChanged) {
  const auto server = TlsServer::Load(good);
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_FALSE(*(*server)->Refresh());
  authority.Issue("good", {.name = "renewed"});
  EXPECT_TRUE(*(*server)->Refresh());
  EXPECT_EQ((*server)->files().name, "renewed");
  File("good.key", "half of it");
  const absl::StatusOr<bool> half = (*server)->Refresh();
  EXPECT_FALSE(half.ok());
  EXPECT_FALSE(*(*server)->Refresh()) << "it is said once";
  EXPECT_EQ((*server)->files().name, "renewed");
  EXPECT_NE((*server)->Begin(), nullptr);
}

}  // namespace
}  // namespace diptych
