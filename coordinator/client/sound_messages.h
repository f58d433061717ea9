// What a renderer says, before anything of it is believed, printed or made a file name.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "diptych/v1/render.pb.h"

namespace diptych {

// True for 1 to 64 letters, digits, '-' and '_': what may be printed and name a file.
bool IsSoundId(std::string_view id);

// DATA_LOSS that names the first field out of its range: "the renderer's answer makes no sense: steps is -2147483648,
// not from 0 to 1000". `asked_id`: the job that it must be; empty: any.
absl::Status CheckSound(const v1::Job& job, std::string_view asked_id = "");
absl::Status CheckSound(const v1::SubmitResponse& response);
absl::Status CheckSound(const v1::DescribeRendererResponse& response);

}  // namespace diptych
