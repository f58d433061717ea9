// Both daemons and the command line over TLS: the same pictures, and names that certificates prove.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/integration/support/daemon.h"
#include "tests/integration/support/scratch.h"
#include "tests/integration/support/user.h"
#include "tests/support/certificates.h"

namespace diptych::integration {
namespace {

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

Arguments Flags(const Credentials& credentials) {
  Arguments flags;
  const auto add = [&](const char* flag, const std::string& file) {
    if (!file.empty()) flags.insert(flags.end(), {flag, file});
  };
  add("--tls-cert", credentials.cert);
  add("--tls-key", credentials.key);
  add("--tls-ca", credentials.ca);
  return flags;
}

class Tls : public testing::Test, protected Scratch {
 protected:
  Tls() { std::filesystem::create_directories(*this / "tls"); }

  std::string Picture(const std::string& address, const Arguments& flags, const std::string& name) {
    const std::string file = *this / name;
    const Outcome outcome = Diptych(Arguments{"generate", "a red circle", "--render", address, "--seed", "7", "--size",
                                              "64x64", "--steps", "2", "--output", file} +
                                    flags);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return outcome.status == 0 ? ReadFile(file) : "";
  }

  const std::string folder_ = [this] {
    std::filesystem::create_directories(*this / "tls");
    return *this / "tls";
  }();
  const TestAuthority authority_{folder_};
  const Credentials server_ = authority_.Issue("server");
  const Credentials alice_ = authority_.Issue("alice", {.name = "alice", .hosts = "", .usage = "clientAuth"});
  const Credentials bob_ = authority_.Issue("bob", {.name = "bob", .hosts = "", .usage = "clientAuth"});
  const Credentials root_ = authority_.Issue("root", {.name = "operator", .hosts = "", .usage = "clientAuth"});
};

TEST_F(Tls, PicturesAreTheSameToTheByte) {
  std::string plain;
  {
    const Daemon encoder = StartEncoder(ToyPath("toy_a"), {"--threads", "1"});
    const Daemon renderer = StartRenderer(ToyPath("toy_a"), encoder.address(), *this / "plain", {"--threads", "1"});
    plain = Picture(renderer.address(), {}, "plain.png");
  }
  const Daemon encoder = StartEncoder(ToyPath("toy_a"), Arguments{"--threads", "1"} + Flags(server_));
  const Daemon renderer = StartRenderer(ToyPath("toy_a"), encoder.address(), *this / "tls_state",
                                        Arguments{"--threads", "1"} + Flags(server_));
  const std::string sealed = Picture(renderer.address(), Flags(alice_), "tls.png");
  EXPECT_FALSE(plain.empty());
  EXPECT_TRUE(plain == sealed);
  EXPECT_TRUE(Has(renderer.Log(), "TLS with the certificate \"box\" of \"Test CA\", valid until 20")) << renderer.Log();
  EXPECT_TRUE(Has(renderer.Log(), "accepted from \"alice\"")) << renderer.Log();
  const Outcome nodes = Diptych(Arguments{"nodes", "--render", renderer.address()} + Flags(alice_));
  EXPECT_EQ(nodes.status, 0) << nodes.err;
  EXPECT_TRUE(Has(nodes.out, encoder.address())) << nodes.out;
}

TEST_F(Tls, WhoeverIsNotTheClientOfAJobDoesNothingToIt) {
  const Daemon renderer = StartRenderer(ToyPath("toy_a"), "127.0.0.1:9", *this / "state",
                                        Arguments{"--threads", "1", "--admin-name", "operator"} + Flags(server_));
  const User alice(renderer.address()), bob(renderer.address());
  const auto as = [&](const Credentials& who, const Arguments& arguments) { return alice.Run(arguments + Flags(who)); };
  // What the client says of himself counts for nothing.
  const std::string id = alice.Submit(Flags(alice_) + Arguments{"--client", "bob"});
  EXPECT_EQ(alice.Json(Arguments{"jobs"} + Flags(bob_))[0]["client"], "alice") << "and others may read it";

  for (const Arguments& attempt :
       {Arguments{"cancel", id}, Arguments{"cancel", id, "--force"}, Arguments{"cancel", id, "--client", "alice"},
        Arguments{"cancel", id, "--client", "operator", "--force"}, Arguments{"rm", id, "--force"}}) {
    const Outcome outcome = as(bob_, attempt);
    EXPECT_EQ(outcome.status, 1) << outcome.err;
    EXPECT_TRUE(Has(outcome.err, "is of client \"alice\", and your certificate says \"bob\"")) << outcome.err;
  }
  for (const Arguments& attempt : {Arguments{"pause"}, Arguments{"resume", "--force"}}) {
    const Outcome outcome = as(alice_, attempt);
    EXPECT_EQ(outcome.status, 1) << outcome.err;
    EXPECT_TRUE(Has(outcome.err, "only an admin (render.admin_names)")) << outcome.err;
  }
  EXPECT_TRUE(Has(as(root_, {"cancel", id}).err, "--force cancels it all the same")) << "a slip is told";
  EXPECT_EQ(as(root_, {"pause"}).status, 0);
  EXPECT_EQ(as(root_, {"resume"}).status, 0);
  EXPECT_EQ(as(root_, {"cancel", id, "--force"}).status, 0);
  EXPECT_TRUE(Has(renderer.Log(), "asked to end by \"operator\", who is not its client \"alice\" (force)"))
      << renderer.Log();

  const std::string own = alice.Submit(Flags(alice_));
  EXPECT_EQ(as(alice_, {"cancel", own}).status, 0) << "--client is the certificate's name by itself";
  EXPECT_EQ(as(alice_, {"rm", own}).status, 0);
}

TEST_F(Tls, TheCommandTellsWhatIsWrong) {
  const TestAuthority stranger(folder_, "stranger", {.name = "Strange CA", .hosts = "", .usage = ""});
  const Daemon renderer =
      StartRenderer(ToyPath("toy_a"), "", *this / "state", Arguments{"--threads", "1"} + Flags(server_));
  const auto expect = [&](const Arguments& flags, int status, const std::string& why) {
    for (const std::string command : {"nodes", "doctor"}) {
      const Outcome outcome = Diptych(Arguments{command, "--render", renderer.address()} + flags);
      if (command == "nodes") {
        EXPECT_EQ(outcome.status, status) << outcome.err;
      }
      EXPECT_NE(outcome.status, 0);
      EXPECT_TRUE(Has(outcome.out + outcome.err, why))
          << command << ": " << outcome.out << outcome.err << "\nwanted: " << why;
      EXPECT_FALSE(Has(outcome.out + outcome.err, "start diptych-renderd there")) << "it runs: " << outcome.out;
    }
  };
  expect({"--tls-ca", authority_.ca()}, 1, "it asks for a certificate: give --tls-cert and --tls-key");
  expect({"--tls-ca", stranger.ca(), "--tls-cert", alice_.cert, "--tls-key", alice_.key}, 1,
         "its certificate \"box\" is of another CA");
  expect({}, 1, "it speaks TLS, and this connection is plain text");
  Credentials mallory = stranger.Issue("mallory", {.name = "mallory"});
  mallory.ca = authority_.ca();
  expect(Flags(mallory), 1, "it refuses our certificate");
  expect({"--tls-cert", alice_.cert}, 2, "--tls-cert needs --tls-key");
  expect({"--tls-ca", *this / "nowhere.crt"}, 2, "nowhere.crt: No such file or directory");
}

TEST_F(Tls, ARendererTellsWhyAnEncoderDoesNotAnswer) {
  const Daemon encoder = StartEncoder(ToyPath("toy_a"), {"--threads", "1"});  // plain text
  const Daemon renderer =
      StartRenderer(ToyPath("toy_a"), encoder.address(), *this / "state", Arguments{"--threads", "1"} + Flags(server_));
  EXPECT_TRUE(Has(renderer.Log(), "does not answer yet: it closed the connection at the TLS greeting"))
      << renderer.Log();
}

TEST_F(Tls, ADaemonDoesNotStartWithFilesThatAreWrong) {
  const auto expect = [&](const Credentials& credentials, const std::string& why) {
    for (const std::string program : {"diptych-encoderd", "diptych-renderd"}) {
      Arguments arguments = {"--model-path", ToyPath("toy_a"), "--listen", "127.0.0.1:0"};
      if (program == "diptych-renderd") arguments = arguments + Arguments{"--state-dir", *this / "never"};
      const Outcome outcome = RunDaemon(program, arguments + Flags(credentials));
      EXPECT_NE(outcome.status, 0);
      EXPECT_TRUE(Has(outcome.err, why)) << outcome.err;
    }
  };
  expect({.cert = server_.cert, .key = alice_.key}, "alice.key is not the key of --tls-cert");
  expect(authority_.Issue("past", {.name = "old", .valid_from_s = -7200, .valid_until_s = -3600}),
         "the certificate \"old\" expired on");
  expect({.cert = server_.cert, .key = server_.key, .ca = server_.key}, "holds no certificate in PEM form");
  expect({.ca = server_.ca}, "needs a certificate of its own");
}

TEST_F(Tls, OffLoopbackItNeedsNoInsecureAndMetricsStillDo) {
  const Daemon encoder = StartEncoder(ToyPath("toy_a"), Arguments{"--threads", "1"} + Flags(server_), "0.0.0.0:0");
  EXPECT_FALSE(Has(encoder.Log(), "without encryption")) << encoder.Log();
  const Outcome metrics = RunDaemon("diptych-encoderd", Arguments{"--model-path", ToyPath("toy_a"), "--listen",
                                                                  "127.0.0.1:0", "--metrics-listen", "0.0.0.0:0"} +
                                                            Flags(server_));
  EXPECT_NE(metrics.status, 0);
  EXPECT_TRUE(Has(metrics.err, "--metrics-listen")) << metrics.err;
}

TEST_F(Tls, APrivateRunIsPlainWhateverTheConfigurationSays) {
  WriteFile(*this / "diptych.toml", "[default.tls]\ncert = \"" + server_.cert + "\"\nkey = \"" + server_.key +
                                        "\"\nca = \"" + server_.ca + "\"\n");
  const Outcome outcome =
      Diptych({"generate", "a red circle", "--model-path", ToyPath("toy_a"), "--config", *this / "diptych.toml",
               "--size", "64x64", "--steps", "1", "--output", *this / "own.png"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
}

}  // namespace
}  // namespace diptych::integration
