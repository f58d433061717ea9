// Foreign text as a receipt: refused, or written back to one that reads the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/error/error.h"
#include "common/receipt/receipt.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  diptych::Receipt receipt;
  try {
    receipt = diptych::ReceiptFromJson(std::string_view(reinterpret_cast<const char*>(data), size));
  } catch (const diptych::Error&) {
    return 0;
  }
  if (diptych::ReceiptFromJson(diptych::ToJson(receipt)) != receipt) std::abort();
  return 0;
}
