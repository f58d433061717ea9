#include "coordinator/cli/caller_name.h"

#include <pwd.h>
#include <unistd.h>

#include "common/config/options.h"
#include "common/net/tls_files.h"
#include "coordinator/order/picture_order.h"

namespace diptych {
namespace {

std::string LoginName() {
  const passwd* entry = getpwuid(getuid());
  return entry != nullptr ? entry->pw_name : "uid-" + std::to_string(getuid());
}

// As the renderer reads it, when it asks for certificates. What is wrong with the files is said when they are used.
std::string CertificateName(const Settings& settings) {
  const Credentials credentials = ReadCredentials(settings);
  if (credentials.cert.empty()) return "";
  const absl::StatusOr<TlsFiles> files = ReadTlsFiles(credentials, TlsEnd::kClient);
  return files.ok() ? files->name : "";
}

}  // namespace

std::string CallerName(const Settings& settings) {
  std::string name = settings.Get(options::kClient);
  if (name.empty()) name = CertificateName(settings);
  if (name.empty()) name = LoginName();
  CheckClient(name);
  return name;
}

}  // namespace diptych
