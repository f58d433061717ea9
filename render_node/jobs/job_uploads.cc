#include "render_node/jobs/job_uploads.h"

#include <exception>
#include <list>

#include "common/conditioning/conditioning_hash.h"

namespace diptych {
namespace {

JobRows RowsOf(const UploadedConditioning& uploaded) {
  JobRows rows;
  if (uploaded.positive) rows.positive = ConditioningHash(*uploaded.positive);
  if (uploaded.negative) rows.negative = ConditioningHash(*uploaded.negative);
  rows.bytes = BytesOf(uploaded);
  return rows;
}

}  // namespace

AcceptedJob JobUploads::Accept(const JobSpec& spec, const UploadedConditioning& uploaded, int64_t now_unix_ms,
                               const std::string& host) {
  const JobRows rows = RowsOf(uploaded);
  if (std::optional<std::string> known = store_.FindAccepted(spec, rows)) return {*known, false};
  try {
    // Held until the row names them, so that nobody takes them for those of a job that has ended.
    std::list<HeldUpload> held;
    for (const auto* upload : {&uploaded.positive, &uploaded.negative}) {
      if (!*upload) continue;
      held.emplace_back(files_, upload == &uploaded.positive ? rows.positive : rows.negative);
      files_.Save(**upload);
    }
    return store_.Accept(spec, rows, now_unix_ms, host);
  } catch (...) {
    Release(rows);
    throw;
  }
}

std::optional<std::string> JobUploads::FindAccepted(const JobSpec& spec, const UploadedConditioning& uploaded) {
  if (spec.idempotency_key.empty()) return std::nullopt;
  return store_.FindAccepted(spec, RowsOf(uploaded));
}

UploadedConditioning JobUploads::Load(const std::string& id) {
  const JobRows rows = store_.Rows(id);
  UploadedConditioning uploaded;
  if (!rows.positive.empty()) uploaded.positive = files_.Load(rows.positive);
  if (!rows.negative.empty()) uploaded.negative = files_.Load(rows.negative);
  return uploaded;
}

void JobUploads::Release(const JobRows& rows) noexcept {
  for (const std::string* hash : {&rows.positive, &rows.negative}) {
    if (hash->empty()) continue;
    try {
      files_.RemoveUnlessHeld(*hash, [&] { return store_.Unreferenced({*hash}).empty(); });
    } catch (const std::exception&) {
      // A sweep finds it later.
    }
  }
}

}  // namespace diptych
