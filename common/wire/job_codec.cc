#include "common/wire/job_codec.h"

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/error/error.h"
#include "common/wire/prompt_codec.h"

namespace diptych {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Reflection;

const FieldDescriptor* FieldOf(std::string_view name) {
  const FieldDescriptor* field = v1::JobSpec::descriptor()->FindFieldByName(std::string(name));
  if (field == nullptr) throw Error(ErrorCode::kInternal, "JobSpec of job.proto has no field " + std::string(name));
  return field;
}

template <typename T>
void Put(const T& value, const FieldDescriptor* field, v1::JobSpec& message) {
  const Reflection& reflection = *v1::JobSpec::GetReflection();
  if constexpr (std::is_same_v<T, PromptParts>) {
    reflection.MutableMessage(&message, field)->CopyFrom(ToProto(value));
  } else if constexpr (std::is_enum_v<T>) {
    const auto& choices = ChoicesOf(T{});
    for (size_t i = 0; i < choices.size(); ++i) {
      if (choices[i] == value) reflection.SetEnumValue(&message, field, static_cast<int>(i) + 1);
    }
  } else if constexpr (std::is_same_v<T, InputHash>) {
    reflection.SetString(&message, field, value.hex);
  } else if constexpr (std::is_same_v<T, bool>) {
    reflection.SetBool(&message, field, value);
  } else if constexpr (std::is_same_v<T, double>) {
    reflection.SetDouble(&message, field, value);
  } else if constexpr (std::is_same_v<T, uint64_t>) {
    reflection.SetUInt64(&message, field, value);
  } else {
    static_assert(std::is_same_v<T, int32_t>, "say how it travels");
    reflection.SetInt32(&message, field, value);
  }
}

// Sets `value`, unless the message leaves the default.
template <typename T>
absl::Status Take(const v1::JobSpec& message, const FieldDescriptor* field, T& value) {
  const Reflection& reflection = *v1::JobSpec::GetReflection();
  if constexpr (std::is_same_v<T, PromptParts>) {
    absl::StatusOr<PromptParts> prompt =
        FromProto(static_cast<const v1::Prompt&>(reflection.GetMessage(message, field)));
    if (!prompt.ok()) return prompt.status();
    value = *std::move(prompt);
  } else if constexpr (std::is_enum_v<T>) {
    const auto& choices = ChoicesOf(T{});
    const int number = reflection.GetEnumValue(message, field);
    if (number == 0) return absl::OkStatus();
    if (number < 0 || static_cast<size_t>(number) > choices.size()) {
      int i = 0;
      const auto choice_text = [&](std::string* out, T choice) {
        absl::StrAppend(out, ++i, " (", std::string(ChoiceName(choice)), ")");
      };
      return absl::InvalidArgumentError(
          absl::StrCat("number ", number, " is not one of ", absl::StrJoin(choices, ", ", choice_text)));
    }
    value = choices[static_cast<size_t>(number) - 1];
  } else if constexpr (std::is_same_v<T, InputHash>) {
    value.hex = reflection.GetString(message, field);
  } else if constexpr (std::is_same_v<T, bool>) {
    value = reflection.GetBool(message, field);
  } else if constexpr (std::is_same_v<T, double>) {
    value = reflection.GetDouble(message, field);
  } else if constexpr (std::is_same_v<T, uint64_t>) {
    value = reflection.GetUInt64(message, field);
  } else {
    static_assert(std::is_same_v<T, int32_t>, "say how it travels");
    value = reflection.GetInt32(message, field);
  }
  return absl::OkStatus();
}

}  // namespace

v1::JobSpec ToProto(const JobSpec& spec) {
  v1::JobSpec message;
  ForEachMember([&](const auto& member) {
    using Member = std::decay_t<decltype(member)>;
    const auto& value = spec.*member.field;
    if constexpr (Member::kOptional) {
      if (value) Put(*value, FieldOf(member.name), message);
    } else if (member.schema == 1 || !IsDefault(member, spec)) {
      Put(value, FieldOf(member.name), message);
    }
  });
  message.set_client(spec.client);
  message.set_priority(spec.priority);
  message.set_idempotency_key(spec.idempotency_key);
  message.set_timeout_ms(spec.timeout_ms);
  return message;
}

absl::StatusOr<JobSpec> FromProto(const v1::JobSpec& message) {
  JobSpec spec;
  absl::Status status;
  ForEachMember([&](const auto& member) {
    if (!status.ok()) return;
    const FieldDescriptor* field = FieldOf(member.name);
    if (field->has_presence() && !v1::JobSpec::GetReflection()->HasField(message, field)) return;
    typename std::decay_t<decltype(member)>::Value value{};
    if constexpr (!std::decay_t<decltype(member)>::kOptional) value = spec.*member.field;
    status = Take(message, field, value);
    if (status.ok())
      spec.*member.field = std::move(value);
    else
      status = absl::Status(status.code(), absl::StrCat(std::string(member.name), ": ", status.message()));
  });
  if (!status.ok()) return status;
  spec.client = message.client();
  spec.priority = message.priority();
  spec.idempotency_key = message.idempotency_key();
  spec.timeout_ms = message.timeout_ms();
  return spec;
}

}  // namespace diptych
