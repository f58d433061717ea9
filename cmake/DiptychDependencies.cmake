# Imported targets for everything we link. One place, so that a missing package gives one clear message.
find_package(Threads REQUIRED)

# libtorch: Debian's (/usr), the pip wheel or the official zip (-DCMAKE_PREFIX_PATH=.../torch). We look for headers and
# libraries ourselves: TorchConfig.cmake of a CUDA build demands the CUDA toolkit even for a program without a kernel of its
# own, and defines a `protobuf::libprotobuf` that clashes with the real one.
find_path(DIPTYCH_TORCH_INCLUDE ATen/ATen.h PATH_SUFFIXES include REQUIRED)
find_library(DIPTYCH_TORCH_CPU torch_cpu REQUIRED)
find_library(DIPTYCH_C10 c10 REQUIRED)
get_filename_component(DIPTYCH_TORCH_LIBDIR ${DIPTYCH_TORCH_CPU} DIRECTORY)
find_library(DIPTYCH_TORCH_CUDA torch_cuda PATHS ${DIPTYCH_TORCH_LIBDIR} NO_DEFAULT_PATH)
find_library(DIPTYCH_C10_CUDA c10_cuda PATHS ${DIPTYCH_TORCH_LIBDIR} NO_DEFAULT_PATH)

add_library(diptych_torch INTERFACE)
target_include_directories(diptych_torch SYSTEM INTERFACE ${DIPTYCH_TORCH_INCLUDE} ${DIPTYCH_TORCH_INCLUDE}/torch/csrc/api/include)
target_link_libraries(diptych_torch INTERFACE ${DIPTYCH_TORCH_CPU} ${DIPTYCH_C10} Threads::Threads)
if(DIPTYCH_TORCH_CUDA)
  # Kernels register themselves when the library is loaded; nothing refers to it by name, so the linker must keep it.
  target_link_libraries(diptych_torch INTERFACE
      -Wl,--no-as-needed ${DIPTYCH_TORCH_CUDA} ${DIPTYCH_C10_CUDA} -Wl,--as-needed)
  # Its own dependencies (cuDNN, cuBLAS, ...) are found at run time through the wheel's run paths.
  target_link_options(diptych_torch INTERFACE -Wl,--allow-shlib-undefined)
endif()
if(DIPTYCH_CUDA AND NOT DIPTYCH_TORCH_CUDA)
  message(FATAL_ERROR "This libtorch has no CUDA: ${DIPTYCH_TORCH_CPU}. Point CMAKE_PREFIX_PATH at a CUDA build of libtorch 2.x")
endif()
message(STATUS "libtorch: ${DIPTYCH_TORCH_CPU}, CUDA part: ${DIPTYCH_TORCH_CUDA}")

# JSON: the system's nlohmann-json, else the unmodified copy in third_party (a GPU machine may have libtorch and CMake alone).
find_path(DIPTYCH_JSON_INCLUDE nlohmann/json.hpp)
add_library(diptych_json INTERFACE)
if(DIPTYCH_JSON_INCLUDE)
  target_include_directories(diptych_json SYSTEM INTERFACE ${DIPTYCH_JSON_INCLUDE})
else()
  target_include_directories(diptych_json SYSTEM INTERFACE ${PROJECT_SOURCE_DIR}/third_party)
endif()

# The tokenizer's two libraries; without services they are optional and the tokenizer is left out when they are missing.
find_package(PkgConfig)
if(PkgConfig_FOUND)
  pkg_check_modules(PCRE2 IMPORTED_TARGET libpcre2-8)
  pkg_check_modules(UTF8PROC IMPORTED_TARGET libutf8proc)
endif()
if(TARGET PkgConfig::PCRE2 AND TARGET PkgConfig::UTF8PROC)
  set(DIPTYCH_TOKENIZER ON)
else()
  set(DIPTYCH_TOKENIZER OFF)
  message(STATUS "tokenizer: left out, libpcre2-8 or libutf8proc not found")
endif()

if(DIPTYCH_SERVICES)
  if(NOT DIPTYCH_TOKENIZER)
    message(FATAL_ERROR "The services need libpcre2-dev and libutf8proc-dev (scripts/install-packages installs all that is needed)")
  endif()
  find_package(absl REQUIRED)
  find_package(OpenSSL REQUIRED COMPONENTS Crypto SSL)
  find_package(spdlog REQUIRED)
  pkg_check_modules(GRPC REQUIRED IMPORTED_TARGET grpc++)
  pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
  pkg_check_modules(SYSTEMD REQUIRED IMPORTED_TARGET libsystemd)
  pkg_check_modules(PROMETHEUS REQUIRED IMPORTED_TARGET prometheus-cpp-core)
  pkg_check_modules(PNG REQUIRED IMPORTED_TARGET libpng)
  pkg_check_modules(JPEG REQUIRED IMPORTED_TARGET libjpeg)
  pkg_check_modules(WEBP REQUIRED IMPORTED_TARGET libwebp libwebpmux)
  # By path, because torch defines a target of that name; and never below CMAKE_PREFIX_PATH: the wheel ships an old protoc.
  set(not_in_torch NO_CMAKE_PATH NO_CMAKE_ENVIRONMENT_PATH)
  find_library(DIPTYCH_PROTOBUF_LIBRARY protobuf REQUIRED ${not_in_torch})
  find_library(DIPTYCH_GRPC_REFLECTION grpc++_reflection REQUIRED)
  find_program(DIPTYCH_PROTOC protoc REQUIRED ${not_in_torch})
  find_program(DIPTYCH_GRPC_PLUGIN grpc_cpp_plugin REQUIRED)
  find_path(DIPTYCH_TOML11_INCLUDE toml.hpp REQUIRED)
  find_path(DIPTYCH_CLI11_INCLUDE CLI/CLI.hpp REQUIRED)
  find_path(DIPTYCH_BOOST_INCLUDE boost/beast/http.hpp REQUIRED)  # 1.74 or newer; headers alone
  add_library(diptych_boost INTERFACE)
  target_include_directories(diptych_boost SYSTEM INTERFACE ${DIPTYCH_BOOST_INCLUDE})
  target_link_libraries(diptych_boost INTERFACE Threads::Threads)
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")  # whose coroutines Boost 1.74 looks for under an older name
    target_compile_definitions(diptych_boost INTERFACE BOOST_ASIO_HAS_CO_AWAIT=1 BOOST_ASIO_HAS_STD_COROUTINE=1)
  endif()
  add_library(diptych_grpc INTERFACE)
  # Never link torch headers into a target that links this one: see docs/decisions/0002-torch-and-protobuf-apart.md.
  target_link_libraries(diptych_grpc INTERFACE PkgConfig::GRPC ${DIPTYCH_PROTOBUF_LIBRARY})
endif()

if(DIPTYCH_TESTS)
  find_package(GTest)
endif()
