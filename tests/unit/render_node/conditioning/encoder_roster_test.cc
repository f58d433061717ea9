#include "render_node/conditioning/encoder_roster.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;
using Outcome = EncoderRoster::Outcome;

EncoderIdentity Model(char digit) { return {std::string(64, digit), std::string(64, 't'), StateDtype::kBFloat16}; }

// Two encoders, a and b, and a clock that stands still unless told.
class EncoderRosterTest : public testing::Test {
 protected:
  EncoderRosterTest() : EncoderRosterTest(EncoderRosterOptions{}) {}
  explicit EncoderRosterTest(EncoderRosterOptions options)
      : roster_([&] {
          options.addresses = {"a", "b"};
          options.expected_width = 48;
          return options;
        }()) {}

  void Answers(size_t encoder, char model, int64_t width = 48) {
    roster_.Answered(encoder, Model(model), width, now_, now_);
  }
  void IsDown(size_t encoder) { roster_.NotAnswered(encoder, EncoderState::kDown, "nobody there", now_, now_); }
  void Breaks(size_t encoder) {
    roster_.CallBegan(encoder, now_);
    roster_.CallEnded(encoder, Outcome::kBroken, "nonsense", now_);
  }
  void Works(size_t encoder) {
    roster_.CallBegan(encoder, now_);
    roster_.CallEnded(encoder, Outcome::kDone, "", now_);
  }
  EncoderState StateOf(size_t encoder) const { return roster_.members()[encoder].state; }
  milliseconds UntilNextLook(size_t encoder) const {
    return std::chrono::duration_cast<milliseconds>(roster_.members()[encoder].next_look - now_);
  }
  std::optional<size_t> Pick(std::vector<bool> tried = {false, false}) const { return roster_.Pick(tried, now_); }

  EncoderRoster::Time now_{std::chrono::hours(1)};
  EncoderRoster roster_;
};

TEST_F(EncoderRosterTest, PicksTheOneWithTheFewestCallsAndTheFirstOfEquals) {
  EXPECT_FALSE(Pick());
  Answers(1, '1');
  EXPECT_EQ(Pick(), 1u);
  Answers(0, '1');
  EXPECT_EQ(Pick(), 0u);
  roster_.CallBegan(0, now_);
  EXPECT_EQ(Pick(), 1u);
  roster_.CallBegan(1, now_);
  EXPECT_EQ(Pick(), 0u);
  roster_.CallBegan(0, now_);
  EXPECT_EQ(Pick(), 1u);
  EXPECT_EQ(Pick({false, true}), 0u);
  EXPECT_FALSE(Pick({true, true}));
  roster_.CallEnded(0, Outcome::kCancelled, "", now_);
  roster_.CallEnded(0, Outcome::kCancelled, "", now_);
  EXPECT_EQ(Pick(), 0u);
}

TEST_F(EncoderRosterTest, LooksEveryTenSecondsAtOneThatIsUpAndEverMoreSeldomAtOneThatIsDown) {
  Answers(0, '1');
  EXPECT_EQ(UntilNextLook(0), milliseconds(10'000));
  for (const int expected : {500, 1000, 2000, 4000, 8000, 10'000, 10'000}) {
    IsDown(0);
    EXPECT_EQ(UntilNextLook(0), milliseconds(expected));
  }
  Answers(0, '1');
  IsDown(0);
  EXPECT_EQ(UntilNextLook(0), milliseconds(500));
  roster_.NotAnswered(0, EncoderState::kLoading, "still loading", now_, now_);
  EXPECT_EQ(UntilNextLook(0), milliseconds(250));
}

TEST_F(EncoderRosterTest, ALookThatBeganBeforeItWasWantedDoesNotDo) {
  const auto asked = now_;
  now_ += milliseconds(10);
  roster_.LookNow(0, now_);
  roster_.Answered(0, Model('1'), 48, asked, now_);
  EXPECT_EQ(UntilNextLook(0), milliseconds(0));
  Answers(0, '1');
  EXPECT_EQ(UntilNextLook(0), milliseconds(10'000));
}

TEST_F(EncoderRosterTest, LeavesOneAloneAfterThreeBrokenCallsInARow) {
  Answers(0, '1');
  Breaks(0);
  Breaks(0);
  Works(0);
  Breaks(0);
  Breaks(0);
  EXPECT_EQ(Pick(), 0u) << "not in a row";
  const auto before = now_;
  now_ += milliseconds(1);
  Breaks(0);
  EXPECT_FALSE(Pick());
  EXPECT_EQ(StateOf(0), EncoderState::kDown);
  EXPECT_EQ(roster_.members()[0].error, "3 calls in a row failed, the last: nonsense");
  EXPECT_EQ(UntilNextLook(0), milliseconds(500));
  EXPECT_TRUE(roster_.AnyMayComeSoon());

  roster_.Answered(0, Model('1'), 48, before, now_);
  EXPECT_FALSE(Pick()) << "that look was asked for before";
  Answers(0, '1');
  EXPECT_EQ(Pick(), 0u);
  Breaks(0);
  EXPECT_FALSE(Pick()) << "one more suffices";
  EXPECT_EQ(UntilNextLook(0), milliseconds(1000));
  Answers(0, '1');
  Works(0);
  Breaks(0);
  Breaks(0);
  EXPECT_EQ(Pick(), 0u) << "a call that worked makes good for all";
  Breaks(0);
  EXPECT_EQ(UntilNextLook(0), milliseconds(500));
}

TEST_F(EncoderRosterTest, OneInDoubtIsAskedLastButForATrialNowAndThen) {
  Answers(0, '1');
  Answers(1, '1');
  roster_.Contradicted(0, "no such layer", now_);
  EXPECT_EQ(Pick(), 1u);
  EXPECT_EQ(Pick({false, true}), 0u) << "rather than nobody";
  roster_.Contradicted(0, "no such layer", now_);
  now_ += milliseconds(19'999);
  EXPECT_EQ(Pick(), 1u) << "twice as long after the second time";
  now_ += milliseconds(1);
  EXPECT_EQ(Pick(), 0u);
  roster_.CallBegan(0, now_);
  EXPECT_EQ(Pick(), 1u) << "one trial";
  roster_.CallEnded(0, Outcome::kDone, "", now_);
  EXPECT_EQ(Pick(), 0u);
  const auto events = roster_.TakeEvents();
  ASSERT_EQ(events.size(), 2u) << "said once, and that it is over";
}

TEST_F(EncoderRosterTest, AnAnswerWithoutRowsEndsNoDoubtAndProvesNoModel) {
  Answers(0, '1');
  Answers(1, '2');
  roster_.Contradicted(0, "no such layer", now_);
  roster_.CallBegan(0, now_);
  roster_.CallEnded(0, Outcome::kAnswered, "", now_);
  EXPECT_EQ(roster_.members()[0].doubt, "no such layer");
  EXPECT_EQ(roster_.identity()->model_fingerprint, std::string(64, '1')) << "another takes over for want of rows only";
  roster_.CallBegan(0, now_);
  roster_.CallEnded(0, Outcome::kBelieved, "no such layer", now_);
  EXPECT_EQ(roster_.identity()->model_fingerprint, std::string(64, '2')) << "and that no rows were proven";
}

TEST_F(EncoderRosterTest, ABusyOneIsAskedAfterTheOthers) {
  Answers(0, '1');
  Answers(1, '1');
  roster_.BusyUntil(0, now_ + milliseconds(500));
  EXPECT_EQ(Pick(), 1u);
  now_ += milliseconds(500);
  EXPECT_EQ(Pick(), 0u);
}

TEST_F(EncoderRosterTest, AnEncoderThatRefusesARequestOrIsLoadingIsNotBroken) {
  Answers(0, '1');
  for (int i = 0; i < 9; ++i) {
    roster_.CallBegan(0, now_);
    roster_.CallEnded(0, i % 3 == 0 ? Outcome::kCancelled : Outcome::kBelieved, "no such layer", now_);
    ASSERT_EQ(Pick(), 0u);
  }
  for (int i = 0; i < 9; ++i) {
    roster_.CallBegan(0, now_);
    roster_.CallEnded(0, Outcome::kNotNow, "still loading", now_);
    ASSERT_EQ(StateOf(0), EncoderState::kLoading);
    ASSERT_EQ(UntilNextLook(0), milliseconds(0)) << "it is looked at";
    Answers(0, '1');
    ASSERT_EQ(Pick(), 0u);
  }
}

TEST_F(EncoderRosterTest, ALostConnectionTakesItOutUntilItWasLookedAt) {
  Answers(0, '1');
  roster_.CallBegan(0, now_);
  roster_.CallEnded(0, Outcome::kLost, "socket closed", now_);
  EXPECT_EQ(StateOf(0), EncoderState::kDown);
  EXPECT_FALSE(roster_.members()[0].reachable);
  EXPECT_EQ(UntilNextLook(0), milliseconds(0));
  Answers(0, '1');
  EXPECT_EQ(Pick(), 0u);
}

TEST_F(EncoderRosterTest, TheFirstThatAnswersDecidesAndAnotherIsRefusedByName) {
  EXPECT_FALSE(roster_.identity());
  Answers(1, '1');
  Answers(0, '2');
  EXPECT_EQ(roster_.identity(), Model('1'));
  EXPECT_EQ(StateOf(0), EncoderState::kRefused);
  EXPECT_EQ(roster_.members()[0].error, "its model is 222222222222, this pool's is 111111111111");
  EXPECT_EQ(Pick(), 1u);
  EXPECT_FALSE(Pick({false, true}));

  EncoderIdentity other = Model('1');
  other.dtype = StateDtype::kFloat32;
  roster_.Answered(0, other, 48, now_, now_);
  EXPECT_EQ(StateOf(0), EncoderState::kRefused);
  EXPECT_EQ(roster_.members()[0].error, "its number format is float32, this pool's is bfloat16");
  other = Model('1');
  other.tokenizer_fingerprint = std::string(64, 'u');
  roster_.Answered(0, other, 48, now_, now_);
  EXPECT_EQ(roster_.members()[0].error, "its tokenizer is uuuuuuuuuuuu, this pool's is tttttttttttt");
  Answers(0, '1');
  EXPECT_EQ(StateOf(0), EncoderState::kUp) << "the right one is welcome";
}

TEST_F(EncoderRosterTest, RefusesAnotherWidth) {
  Answers(0, '1', 96);
  EXPECT_EQ(StateOf(0), EncoderState::kRefused);
  EXPECT_FALSE(roster_.identity()) << "it decides nothing";
  EXPECT_NE(roster_.members()[0].error.find("96"), std::string::npos);
  EXPECT_NE(roster_.members()[0].error.find("48"), std::string::npos);
  EXPECT_FALSE(roster_.AllAre(EncoderState::kRefused));
  Answers(1, '1', 96);
  EXPECT_TRUE(roster_.AllAre(EncoderState::kRefused));
}

TEST_F(EncoderRosterTest, AdoptsAModelOnceAllThatAnswerHaveIt) {
  Answers(0, '1');
  Answers(1, '1');
  Answers(0, '2');  // replaced there
  EXPECT_EQ(StateOf(0), EncoderState::kRefused);
  EXPECT_EQ(Pick(), 1u);
  IsDown(1);
  Answers(0, '2');
  EXPECT_EQ(StateOf(0), EncoderState::kRefused) << "the other may only have crashed";
  roster_.TakeEvents();
  Answers(1, '2');
  EXPECT_EQ(roster_.identity(), Model('2'));
  EXPECT_EQ(StateOf(0), EncoderState::kUp);
  EXPECT_EQ(StateOf(1), EncoderState::kUp);
  const auto events = roster_.TakeEvents();
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events[0].first, LogLevel::kWarning);
  EXPECT_NE(events[0].second.find("its model is 222222222222, this pool's is 111111111111"), std::string::npos)
      << events[0].second;
}

TEST_F(EncoderRosterTest, AdoptsAModelWhileTheOthersAreDown) {
  Answers(0, '1');
  IsDown(1);
  IsDown(0);
  Answers(0, '2');
  EXPECT_EQ(roster_.identity(), Model('2'));
  Answers(1, '1');
  EXPECT_EQ(StateOf(1), EncoderState::kRefused);
  EXPECT_EQ(roster_.identity(), Model('2'));
}

// A wrong encoder does not take over whenever the right one is away.
TEST_F(EncoderRosterTest, DoesNotAdoptTheModelOfOneThatWasRefusedBefore) {
  Answers(0, '1');
  Answers(1, '2');
  IsDown(0);
  Answers(1, '2');
  IsDown(1);
  Answers(1, '2');
  EXPECT_EQ(roster_.identity(), Model('1'));
  EXPECT_FALSE(Pick());
  Answers(0, '1');
  EXPECT_EQ(Pick(), 0u);
}

class EncoderRosterThatRemembers : public EncoderRosterTest {
 protected:
  EncoderRosterThatRemembers() : EncoderRosterTest(Remembering(Model('1'))) {}
  static EncoderRosterOptions Remembering(const EncoderIdentity& identity) {
    EncoderRosterOptions options;
    options.remembered = identity;
    return options;
  }
};

TEST_F(EncoderRosterThatRemembers, AnEarlierLifeDecidesAndNotWhoAnswersFirst) {
  Answers(0, '2');
  EXPECT_EQ(roster_.identity(), Model('2')) << "until the other one answers";
  Answers(1, '1');
  EXPECT_EQ(roster_.identity(), Model('1'));
  EXPECT_EQ(StateOf(0), EncoderState::kRefused);
  EXPECT_EQ(Pick(), 1u);
  Breaks(1);
  EXPECT_EQ(roster_.identity(), Model('1')) << "it has given rows before";
}

class EncoderRosterOfOneModel : public EncoderRosterTest {
 protected:
  EncoderRosterOfOneModel() : EncoderRosterTest(Expecting(std::string(64, '1'))) {}
  static EncoderRosterOptions Expecting(const std::string& model) {
    EncoderRosterOptions options;
    options.expected_model_fingerprint = model;
    return options;
  }
};

TEST_F(EncoderRosterOfOneModel, TakesNoOther) {
  Answers(0, '2');
  EXPECT_EQ(StateOf(0), EncoderState::kRefused);
  EXPECT_FALSE(roster_.identity());
  EXPECT_EQ(roster_.members()[0].error, "its model is 222222222222, this pool's is 111111111111 by configuration");
  Answers(1, '1');
  EXPECT_EQ(roster_.identity(), Model('1'));
  Answers(1, '2');
  EXPECT_EQ(StateOf(1), EncoderState::kRefused);
  EXPECT_EQ(roster_.identity(), Model('1')) << "nothing else is adopted";
}

TEST_F(EncoderRosterTest, TellsTheLogWhatChanges) {
  Answers(0, '1');
  IsDown(1);
  EXPECT_TRUE(roster_.TakeEvents().empty()) << "the first look is the caller's to tell";
  Answers(0, '1');
  IsDown(0);
  IsDown(0);
  Answers(1, '1');
  const auto events = roster_.TakeEvents();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0], std::pair(LogLevel::kWarning, std::string("encoder a is down: nobody there")));
  EXPECT_EQ(events[1], std::pair(LogLevel::kInfo, std::string("encoder b is up")));
  EXPECT_TRUE(roster_.TakeEvents().empty());
}

// Two lines for each job otherwise.
TEST_F(EncoderRosterTest, OneThatIsGoodAndBadByTurnsFillsNoLog) {
  Answers(0, '1');
  Answers(1, '1');
  const auto turns = [&](int count) {
    for (int i = 0; i < count; ++i) {
      roster_.CallBegan(0, now_);
      roster_.CallEnded(0, Outcome::kBelieved, "no", now_);
      roster_.Contradicted(0, "no", now_);
      Works(0);
      IsDown(0);
      Answers(0, '1');
    }
    return roster_.TakeEvents();
  };
  EXPECT_EQ(turns(1000).size(), size_t{EncoderRoster::kLinesAtOnce});
  now_ += std::chrono::minutes(2);
  const auto later = turns(1000);
  ASSERT_EQ(later.size(), 2u);
  EXPECT_NE(later[0].second.find("(3980 lines about it were left out)"), std::string::npos) << later[0].second;
  IsDown(1);
  EXPECT_EQ(roster_.TakeEvents().size(), 1u) << "the other one has its own lines";
}

}  // namespace
}  // namespace diptych
