// The last thing that happens to a picture: its receipt, and the PNG that carries both.
#pragma once

#include <cstdint>
#include <vector>

#include "common/receipt/receipt.h"
#include "render_node/jobs/job_runner.h"

namespace diptych {

// What determined the picture. Layer and long-prompt mode are those of the conditioning that was used.
Receipt ReceiptOf(const FinishRequest& request);

// The PictureFinisher of the render daemon. Equal requests give equal bytes, whoever asked and whenever.
std::vector<uint8_t> FinishWithReceipt(const FinishRequest& request);

}  // namespace diptych
