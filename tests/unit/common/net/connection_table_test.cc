#include "common/net/connection_table.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "gtest/gtest.h"

namespace diptych {
namespace {

using Verdict = ConnectionTable::Verdict;

class Connections : public testing::Test {
 protected:
  ~Connections() override {
    for (const int fd : open_) close(fd);
  }
  int Open() {
    open_.push_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return open_.back();
  }
  void Close(int fd) {
    std::erase(open_, fd);
    close(fd);
  }

 private:
  std::vector<int> open_;
};

TEST_F(Connections, AHostHasSoManyAndOthersHaveTheirOwn) {
  ConnectionTable table({.in_all = 4, .per_host = 2});
  EXPECT_EQ(table.Admit(Open(), "10.0.0.1"), Verdict::kAdmitted);
  EXPECT_EQ(table.Admit(Open(), "10.0.0.1"), Verdict::kAdmitted);
  EXPECT_EQ(table.Admit(Open(), "10.0.0.1"), Verdict::kHostHasAll);
  EXPECT_EQ(table.Admit(Open(), "10.0.0.2"), Verdict::kAdmitted);
  EXPECT_EQ(table.Admit(Open(), "::1"), Verdict::kAdmitted);
  EXPECT_EQ(table.Admit(Open(), "::1"), Verdict::kAllAreTaken);
  EXPECT_EQ(table.size(), 4);
}

TEST_F(Connections, OneThatIsClosedMakesRoomWhenTheyAreLookedAt) {
  ConnectionTable table({.in_all = 2, .per_host = 2});
  const int first = Open(), second = Open();
  table.Admit(first, "10.0.0.1");
  table.Admit(second, "10.0.0.1");
  table.Sweep();
  EXPECT_EQ(table.size(), 2) << "both are open";
  Close(first);
  table.Sweep();
  EXPECT_EQ(table.size(), 1);
  const int third = Open();
  EXPECT_EQ(third, first) << "the lowest number that is free";
  EXPECT_EQ(table.Admit(third, "10.0.0.1"), Verdict::kAdmitted);
  EXPECT_EQ(table.Admit(Open(), "10.0.0.1"), Verdict::kHostHasAll);
}

TEST_F(Connections, ADescriptorThatIsSomethingElseByNowIsNoConnection) {
  ConnectionTable table({.in_all = 1, .per_host = 1});
  const int first = Open();
  table.Admit(first, "10.0.0.1");
  Close(first);
  const int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(file, first);
  table.Sweep();
  EXPECT_EQ(table.size(), 0);
  close(file);
  table.Admit(Open(), "10.0.0.1");
  const int other = Open();
  EXPECT_EQ(table.Admit(other, "10.0.0.2"), Verdict::kAllAreTaken);
}

TEST_F(Connections, ANumberThatComesAgainWasClosed) {
  ConnectionTable table({.in_all = 1, .per_host = 1});
  const int first = Open();
  table.Admit(first, "10.0.0.1");
  EXPECT_EQ(table.Admit(first, "10.0.0.2"), Verdict::kAdmitted);
  EXPECT_EQ(table.size(), 1);
}

}  // namespace
}  // namespace diptych
