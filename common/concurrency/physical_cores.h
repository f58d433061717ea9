// How many CPU threads a computation should use.
#pragma once

namespace diptych {

// Physical cores among the CPUs that this process may run on; hyper-threads of one core count once. At least 1.
int PhysicalCores();

}  // namespace diptych
